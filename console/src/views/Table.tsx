/** A table that scrolls by itself in a narrow window. */
import type { ComponentChildren } from "preact"

interface Props {
  readonly label: string
  readonly heads: ReadonlyArray<string>
  /** The rows. */
  readonly children: ComponentChildren
}

export const Table = ({ label, heads, children }: Props) => (
  <div class="scroll" tabIndex={0} role="region" aria-label={label}>
    <table>
      <thead>
        <tr>
          {heads.map((head) => (
            <th key={head} scope="col">
              {head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{children}</tbody>
    </table>
  </div>
)
