/** Stops the hub after a time without use. */
import { Duration, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { Activity } from "./Activity.ts"
import { Jobs } from "../jobs/Jobs.ts"
import { PausedPlugins } from "../jobs/PausedPlugins.ts"
import { Specs } from "../plugins/Specs.ts"

/** How often to look if the last job has ended. */
const lookEvery = Duration.seconds(1)

/** True if there is work that goes on without a client. Jobs of paused plugins wait for a later start. */
const isWorking = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const paused = yield* PausedPlugins
  const specs = yield* Specs
  const plugins = specs.current().flatMap(({ name }) => (paused.errorOf(name) === undefined ? [name] : []))
  const open = yield* (yield* Jobs).countOpen(plugins)
  if (open.values().some((count) => count > 0)) return true
  return (yield* sql`SELECT 1 FROM backfills WHERE state = 'running' LIMIT 1`).length > 0
})

/** Returns when no client was there for so long, and no job is open. */
export const whenIdle = Effect.fnUntraced(function* (after: Duration.Duration) {
  const { idleMillis } = yield* Activity
  const wanted = Duration.toMillis(after)
  while (true) {
    const left = wanted - (yield* idleMillis)
    if (left > 0) yield* Effect.sleep(left)
    else if (yield* isWorking) yield* Effect.sleep(lookEvery)
    else return
  }
})
