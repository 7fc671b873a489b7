/** The hub itself: since when it runs, its isolates, its queue and its database. */
import { hub, readText } from "../session.ts"
import { Name } from "./Name.tsx"
import { durationText } from "./Time.tsx"
import { usePolled } from "./usePolled.ts"

interface Measured {
  readonly name: string
  readonly labels: { readonly [name: string]: string }
  readonly value: number
}

/** The lines of Prometheus' text format. */
const parse = (text: string): ReadonlyArray<Measured> =>
  text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) return []
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
    return [
      {
        name,
        labels: Object.fromEntries(
          pairs.map(([, label = "", given = ""]) => [label, given.replace(/\\(.)/g, "$1")])
        ),
        value: Number(value)
      }
    ]
  })

const read = async () => {
  const [health, text] = await Promise.all([hub.health(), readText("/metrics")])
  return { health, measured: parse(text) }
}

export const HealthView = () => {
  const { value, problem } = usePolled(read, "health")
  const all = (name: string) => value?.measured.filter((one) => one.name === name) ?? []
  const sum = (name: string) => all(name).reduce((total, one) => total + one.value, 0)
  const isolates = all("agentlip_isolates").filter((one) => one.value > 0)
  const jobs = all("agentlip_jobs").filter((one) => one.value > 0)
  return (
    <section class="page" aria-labelledby="view-title">
      <h1 id="view-title" tabIndex={-1}>
        Health
      </h1>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {value !== undefined && (
        <>
          <dl>
            <div>
              <dt>runs for</dt>
              <dd>{durationText(value.health.uptime_seconds * 1_000)}</dd>
            </div>
            <div>
              <dt>process</dt>
              <dd>{value.health.pid}</dd>
            </div>
            <div>
              <dt>database</dt>
              <dd>
                <span
                  class={`dot ${sum("agentlip_database_up") === 1 ? "ok" : "failed"}`}
                  aria-hidden="true"
                />{" "}
                {sum("agentlip_database_up") === 1 ? "responds" : "does not respond"}
              </dd>
            </div>
            <div>
              <dt>memory</dt>
              <dd>{(sum("process_resident_memory_bytes") / 1_048_576).toFixed(0)} MiB</dd>
            </div>
            <div>
              <dt>live clients</dt>
              <dd>{sum("agentlip_sockets")}</dd>
            </div>
            <div>
              <dt>open jobs</dt>
              <dd>
                {jobs.length === 0
                  ? "none"
                  : jobs.map(({ labels, value }) => (
                      <div key={labels["plugin"]}>
                        {value.toLocaleString()} of <Name text={labels["plugin"] ?? "all"} />
                      </div>
                    ))}
              </dd>
            </div>
            <div>
              <dt>isolates</dt>
              <dd>
                {isolates.length === 0
                  ? "none"
                  : isolates.map(({ labels, value }) => (
                      <div key={`${labels["level"]} ${labels["state"]}`}>
                        {value} {labels["level"]} {labels["state"]}
                      </div>
                    ))}
              </dd>
            </div>
            <div>
              <dt>reads</dt>
              <dd>
                {value.health.read_auth === true
                  ? "need the token or a session"
                  : "are open to every local user"}
              </dd>
            </div>
          </dl>
          <p class="quiet">
            More in a terminal: <code>agentlip doctor</code>. For Prometheus: <code>GET /metrics</code>.
          </p>
        </>
      )}
    </section>
  )
}
