/** An error of a plugin for its author: the code around the place, the plugin's own stack, what to do. */
import type { PluginProblem } from "@agentlip/protocol"
import { pathInWorkspace } from "../session.ts"
import { ErrorText } from "./ErrorText.tsx"
import { Visible } from "./Name.tsx"

export const Problem = ({ problem }: { readonly problem: PluginProblem }) => {
  const { place, stack, importer, hint } = problem
  const calls = stack.map(({ what, file, line, column }) => {
    const at = `${pathInWorkspace(file)}:${line}:${column}`
    return what === "" ? `at ${at}` : `at ${what} (${at})`
  })
  return (
    <div class="plugin-problem">
      <ErrorText error={problem} />
      {place !== undefined && (
        <figure>
          <figcaption class="quiet">
            <bdi dir="ltr">
              <Visible text={`${pathInWorkspace(place.file)}:${place.line}:${place.column}`} />
            </bdi>
          </figcaption>
          {place.frame !== "" && (
            <pre dir="ltr" tabIndex={0} aria-label="Code">
              <Visible text={place.frame} />
            </pre>
          )}
        </figure>
      )}
      {importer !== undefined && (
        <p class="quiet">
          imported by{" "}
          <bdi dir="ltr">
            <Visible text={pathInWorkspace(importer)} />
          </bdi>
        </p>
      )}
      {calls.length > 1 && (
        <details>
          <summary>Stack</summary>
          <pre dir="ltr">
            <Visible text={calls.join("\n")} />
          </pre>
        </details>
      )}
      {hint !== undefined && (
        <p>
          <strong>Hint:</strong> <Visible text={hint} />
        </p>
      )}
    </div>
  )
}
