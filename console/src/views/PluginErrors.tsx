/** The last errors of a plugin, in full. */
import type { PluginFailure } from "@agentlip/protocol"
import { ErrorText } from "./ErrorText.tsx"
import { Visible } from "./Name.tsx"
import { Time } from "./Time.tsx"

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The texts in an error that help its author: the place in the source, and the plugin's own stack. */
const placesIn = (error: unknown): ReadonlyArray<string> => {
  if (!isRecord(error)) return []
  const { frame, stack } = error
  const own = [frame, stack].filter((text) => typeof text === "string" && text !== "")
  return [...own.map(String), ...Object.values(error).flatMap(placesIn)]
}

const Failure = ({ failure: { at, code, message, error } }: { readonly failure: PluginFailure }) => (
  <li>
    <p class="quiet">
      <Time iso={at} form="exact" />
    </p>
    <ErrorText error={{ code, message }} />
    {placesIn(error).map((text) => (
      <pre dir="ltr">
        <Visible text={text} />
      </pre>
    ))}
    <details>
      <summary>JSON</summary>
      <pre dir="ltr">
        <Visible text={JSON.stringify(error, null, 2)} />
      </pre>
    </details>
  </li>
)

export const PluginErrors = ({ errors }: { readonly errors: ReadonlyArray<PluginFailure> }) => (
  <section>
    <h2>Last errors</h2>
    {errors.length === 0 ? (
      <p class="quiet">None since the hub started.</p>
    ) : (
      <ul class="errors">
        {errors.map((failure) => (
          <Failure key={failure.at} failure={failure} />
        ))}
      </ul>
    )}
  </section>
)
