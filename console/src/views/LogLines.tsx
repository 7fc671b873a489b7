/** What a plugin logged. */
import type { LogLine } from "@agentlip/protocol"
import { Visible } from "./Name.tsx"

interface Props {
  readonly lines: ReadonlyArray<LogLine>
  /** Further lines, which the hub does not show. */
  readonly leftOut: number
}

export const LogLines = ({ lines, leftOut }: Props) => (
  <>
    <ol class="log" dir="ltr">
      {lines.map(({ level, text }, index) => (
        <li key={index}>
          <span class={`level ${level}`}>{level}</span>{" "}
          <bdi>
            <Visible text={text} />
          </bdi>
        </li>
      ))}
    </ol>
    {leftOut > 0 && <p class="quiet">Lines not shown: {leftOut.toLocaleString()}</p>}
  </>
)
