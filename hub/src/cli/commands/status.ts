/** `agentlip status` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { connect } from "../hub/HubClient.ts"
import { show } from "../render/Output.ts"
import { pluginTable, troubles } from "../render/PluginTable.ts"
import { readersText } from "../render/Readers.ts"

const units = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60]
] as const

/** A duration in its largest whole unit: `3 h`, `42 s`. */
const duration = (seconds: number): string => {
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? ["s", 1]
  return `${Math.floor(seconds / size)} ${unit}`
}

export const status = Command.make("status", {}, () =>
  Effect.gen(function* () {
    const { workspace, url, health: askHealth, ask } = yield* connect
    const health = yield* askHealth
    const found = yield* ask((api) => api.reads.plugins())
    yield* show({ workspace, url, health, ...found }, () => [
      `The hub of ${workspace} is up: ${url}, process ${health.pid}, for ${duration(health.uptime_seconds)}.`,
      readersText(health.read_auth === true),
      "",
      ...pluginTable(found.plugins),
      ...troubles(found)
    ])
  })
).pipe(
  Command.withDescription("Show the status of the hub and its plugins"),
  Command.withExamples([{ command: "agentlip status --json" }])
)
