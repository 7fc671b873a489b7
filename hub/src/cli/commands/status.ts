/** `agentlip status`: how the hub of a workspace is. */
import { printable } from "@agentlip/plugin-runtime/text"
import { Effect } from "effect"
import { Command } from "effect/cli"
import type { PluginSummary } from "@agentlip/protocol"
import { connect } from "../hub/HubClient.ts"
import { show, table } from "../render/Output.ts"
import { urlOf } from "../hub/ServerFile.ts"

const units = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60]
] as const

/** `3 h`, `42 s`: the largest unit that there is one of. */
const duration = (seconds: number): string => {
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? ["s", 1]
  return `${Math.floor(seconds / size)} ${unit}`
}

const failures = ({ runs }: PluginSummary): number =>
  Object.entries(runs)
    .filter(([outcome]) => outcome !== "ok" && outcome !== "interrupted")
    .reduce((sum, [, count]) => sum + count, 0)

/** Of the plugins, a row each. */
export const pluginTable = (plugins: ReadonlyArray<PluginSummary>): ReadonlyArray<string> =>
  plugins.length === 0
    ? ["No plugins are configured."]
    : table(
        ["PLUGIN", "KIND", "ISOLATION", "CIRCUIT", "OK", "FAILED", "P50 MS", "P99 MS"],
        plugins.map((plugin) => [
          plugin.name,
          plugin.kind,
          plugin.isolation,
          plugin.circuit.state,
          plugin.runs["ok"] ?? 0,
          failures(plugin),
          plugin.run_ms.p50,
          plugin.run_ms.p99
        ])
      )

/** What operators should know of, in lines of text. */
export const troubles = (found: {
  readonly plugins: ReadonlyArray<PluginSummary>
  readonly config_problem: string | null
}): ReadonlyArray<string> => [
  ...found.plugins.flatMap(({ name, outdated }) =>
    outdated === null
      ? []
      : ["", `${name} goes on as it was, because its files do not load: ${printable(outdated.message)}`]
  ),
  ...(found.config_problem === null
    ? []
    : ["", `The config is not what the hub goes by: ${printable(found.config_problem)}`])
]

/** Who can read from the hub. */
export const readersText = (readAuth: boolean): string =>
  readAuth
    ? "Reads need the token, which the owner of .agentlip/ has."
    : "Reads are open to every local user; readAuth: true in the config or agentlip up --read-auth asks for the token."

export const status = Command.make("status", {}, () =>
  Effect.gen(function* () {
    const { workspace, server, health, ask } = yield* connect
    const found = yield* ask((api) => api.reads.plugins())
    const url = urlOf(server)
    yield* show({ workspace, url, health, ...found }, () => [
      `The hub of ${workspace} is up: ${url}, process ${health.pid}, for ${duration(health.uptime_seconds)}.`,
      readersText(health.read_auth === true),
      "",
      ...pluginTable(found.plugins),
      ...troubles(found)
    ])
  })
).pipe(Command.withDescription("Tell how the hub of a workspace is, and how its plugins fare"))
