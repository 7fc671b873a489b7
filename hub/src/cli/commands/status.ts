/** `agentlip status` */
import { Effect } from "effect"
import { Command } from "effect/cli"
import type { CommandError } from "../CommandError.ts"
import { readFlags } from "../flags/ReadFlags.ts"
import type { HubClient } from "../hub/HubClient.ts"
import type { OfflineReader } from "../hub/HubReader.ts"
import { connectOrOpen } from "../hub/reader.ts"
import { documentOf } from "../render/Errors.ts"
import { counted } from "../render/counted.ts"
import { grouped } from "../render/grouped.ts"
import { show } from "../render/Output.ts"
import { pluginTable, troubles } from "../render/PluginTable.ts"
import { readersText } from "../render/Readers.ts"
import { indexLines } from "../render/SearchResults.ts"

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

const showHub = Effect.fnUntraced(function* ({ workspace, url, health: askHealth, ask }: HubClient) {
  const health = yield* askHealth
  const found = yield* ask((api) => api.reads.plugins())
  const { index } = yield* ask((api) => api.search.searchIndex())
  yield* show({ workspace, url, health, ...found, search_index: index }, () => [
    `The hub of ${workspace} is up: ${url}, process ${health.pid}, for ${duration(health.uptime_seconds)}.`,
    readersText(health.read_auth === true),
    ...indexLines(index),
    "",
    ...pluginTable(found.plugins),
    ...troubles(found)
  ])
})

/** `missing` is the error if no hub runs; `undefined` if none was asked. */
const showDatabase = Effect.fnUntraced(function* (
  { workspace, summary, searchIndex }: OfflineReader,
  missing: CommandError | undefined
) {
  const database = yield* summary
  const index = yield* searchIndex
  const { channels, topics, messages, newest_event } = database
  const failure = missing === undefined ? {} : documentOf(missing)
  yield* show({ workspace, database, search_index: index, ...failure }, () => [
    `The database of ${workspace}: ${counted(channels, "channel")}, ${counted(topics, "topic")}, ${counted(messages, "message")}, events up to ${grouped(newest_event)}.`,
    ...indexLines(index)
  ])
  if (missing !== undefined) return yield* missing
})

export const status = Command.make("status", readFlags, (options) =>
  Effect.flatMap(connectOrOpen(options), ({ hub, database, missing }) =>
    hub === undefined ? showDatabase(database, missing) : showHub(hub)
  )
).pipe(
  Command.withDescription(
    "Show the status of the hub and its plugins; if no hub runs, what the database holds"
  ),
  Command.withExamples([{ command: "agentlip status --json" }])
)
