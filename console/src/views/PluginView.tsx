/** One plugin: its circuit, how its runs went, why they failed, its rights. */
import { hub } from "../session.ts"
import { sample } from "../state/rates.ts"
import { Name, Visible } from "./Name.tsx"
import { PluginCircuit } from "./PluginCircuit.tsx"
import { PluginErrors } from "./PluginErrors.tsx"
import { PluginRuns } from "./PluginRuns.tsx"
import { PluginSettings } from "./PluginSettings.tsx"
import { PluginTimes } from "./PluginTimes.tsx"
import { Problem } from "./Problem.tsx"
import { usePolled } from "./usePolled.ts"

interface Props {
  readonly name: string
  /** The run on this message is shown in full. */
  readonly message: string | undefined
}

export const PluginView = ({ name, message }: Props) => {
  const read = async () => {
    const { plugin } = await hub.plugin({ params: { name } })
    sample([plugin])
    return plugin
  }
  const { value: plugin, problem, again } = usePolled(read, name)
  return (
    <section class="page" aria-labelledby="view-title">
      <p>
        <a href="/ui/plugins">All plugins</a>
      </p>
      <h1 id="view-title" tabIndex={-1}>
        <Name text={name} />
      </h1>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {plugin !== undefined && (
        <>
          {plugin.outdated !== null && (
            <div class="notice" role="alert">
              <p>Its files do not load as they are now. The hub still runs the previous version.</p>
              <Problem problem={{ stack: [], ...plugin.outdated, ...plugin.outdated.problem }} />
              <p>Save the repaired file: the hub loads it by itself.</p>
            </div>
          )}
          <PluginCircuit plugin={plugin} again={again} />
          <PluginTimes plugin={plugin} />
          <PluginRuns name={name} message={message} />
          {plugin.audit !== null && (
            <section>
              <h2>Audit</h2>
              {plugin.audit.snippet === "" ? (
                <p class="quiet">It has used nothing that it is not granted.</p>
              ) : (
                <>
                  <p>To enforce its grants, write in its entry of the config file:</p>
                  <pre>
                    <Visible text={plugin.audit.snippet} />
                  </pre>
                </>
              )}
            </section>
          )}
          <PluginErrors errors={plugin.last_errors} />
          <section>
            <h2>Settings</h2>
            <PluginSettings plugin={plugin} />
          </section>
        </>
      )}
    </section>
  )
}
