/**
 * `npm run demo -- --hostile`: a hub with the plugins of `examples/hostile` beside the good ones, a dozen
 * messages, and what became of everybody. Fails unless all of it went as it has to.
 */
import { defaultLimits } from "@agentlip/plugin-runtime"
import { Clock, Console, Effect, Schedule, Schema } from "effect"
import { CliError } from "effect/cli"
import { randomUUID } from "node:crypto"
import type { Job } from "@agentlip/protocol"
import { gallery, type Rogue } from "./hostile/gallery.ts"
import { type Check, type Fate, renderChecks, renderFates, renderMessage } from "./hostileReport.ts"
import { goodCount, listener, problemOf, stop, watch, writeConfig } from "./hostileWorld.ts"
import { messages } from "./messages.ts"
import { type RunningHub, startHub, temporaryWorkspace } from "./runningHub.ts"

/** How much more memory the hub may have, in MiB; each hoarder wants all there is. */
const memoryLeeway = 96
/** WebAssembly lives in the hub's own process, and may have as much as its limit while it runs. */
const memoryOnWasm = defaultLimits.memory
const logLimit = 2 * 1024 * 1024
const longestWait = "50 seconds"
const longestStop = 2_000

/** What was not as it has to be; a text without a stack. */
class DemoFailed extends Schema.TaggedError<DemoFailed>("@agentlip/examples/DemoFailed")("DemoFailed", {
  reason: Schema.String
}) {
  override get message(): string {
    return `Failed: ${this.reason}`
  }
  override get [CliError.userMessage](): string {
    return this.message
  }
}

/** A job that waits for its breaker has said what it has to say; so has one that has ended. */
const hasSpoken = ({ state }: Job): boolean => state !== "pending"

const post = ({ api: { writes, reads } }: RunningHub) =>
  Effect.gen(function* () {
    const { channel } = yield* writes.createChannel({ payload: { name: "demo" } })
    const { topic } = yield* writes.createTopic({ payload: { channel_id: channel.id, title: "A dozen" } })
    const taken: Array<number> = []
    const posted = yield* Effect.forEach(messages, ({ sender, text }) =>
      Effect.gen(function* () {
        const begun = yield* Clock.currentTimeMillis
        const payload = { topic_id: topic.id, sender, content_raw: text }
        const { message } = yield* writes.createMessage({ payload })
        taken.push((yield* Clock.currentTimeMillis) - begun)
        return message
      })
    )
    const derivations = yield* Effect.forEach(posted, ({ id }) =>
      Effect.map(reads.derivations({ params: { id }, query: {} }), (answer) => answer.derivations).pipe(
        Effect.repeat({ until: (found) => found.every(hasSpoken), schedule: Schedule.spaced("100 millis") })
      )
    ).pipe(Effect.timeout(longestWait))
    const { attachments } = yield* reads.attachments({ params: { id: topic.id }, query: {} })
    const enrichments = yield* Effect.forEach(posted, ({ id }) =>
      Effect.map(reads.enrichments({ params: { id }, query: {} }), (answer) => answer.enrichments)
    )
    return {
      posted,
      derivations,
      attachments,
      enrichments: enrichments.flat(),
      /** Milliseconds of each post. */
      taken: taken.sort((a, b) => a - b)
    }
  })

type Posted = Effect.Success<ReturnType<typeof post>>

const fatesOf = (rogues: ReadonlyArray<Rogue>, { derivations }: Posted, { api: { reads } }: RunningHub) =>
  Effect.map(reads.plugins(), ({ plugins }) =>
    rogues.map((rogue): Fate => {
      const jobs = derivations.flat().filter(({ plugin_name }) => plugin_name === rogue.name)
      const ended = jobs.filter(({ state }) => state !== "waiting")
      const endOf = ({ state, error }: Job): string => error?.code ?? state
      const astray = ended.filter((job) => !rogue.ends.some((allowed) => allowed === endOf(job)))
      return {
        rogue,
        ends: ended.map(endOf),
        spared: jobs.length - ended.length,
        said: [...astray, ...ended].find(({ error }) => error !== null)?.error?.message ?? "",
        circuit: plugins.find(({ name }) => name === rogue.name)?.circuit.state ?? "closed",
        asItShould: ended.length > 0 && astray.length === 0
      }
    })
  )

const mebibytes = (value: number): string => `${Math.round(value)} MiB`

export const hostileDemo = Effect.gen(function* () {
  const begun = yield* Clock.currentTimeMillis
  const problem = yield* problemOf("process")
  if (problem !== undefined) return yield* new DemoFailed({ reason: problem })
  const withoutWasm = yield* problemOf("wasm")
  const rogues = gallery.filter(({ isolation }) => isolation !== "wasm" || withoutWasm === undefined)

  const home = yield* listener
  const secret = randomUUID()
  const workspace = yield* temporaryWorkspace
  writeConfig(workspace, rogues, home.url)
  yield* Console.log(`Starting a hub with ${rogues.length} plugins that want to take it down …`)
  const hub = yield* startHub(workspace, { DEMO_SECRET: secret })
  yield* Console.log(`A hub at ${hub.url}. Posting a dozen messages …\n`)
  const { seen, look, before } = yield* watch(hub.pid)

  const posted = yield* post(hub)
  const fates = yield* fatesOf(rogues, posted, hub)
  const health = yield* Effect.option(hub.api.health.health({ query: {} }))
  yield* look
  const { memory, most, processes, pids } = seen
  const stopped = yield* stop(hub, pids)

  const hostile = new Set(rogues.map(({ name }) => name))
  const good = posted.derivations.flat().filter(({ plugin_name }) => !hostile.has(plugin_name))
  const due = goodCount * messages.length
  const served = good.filter(({ state }) => state === "committed" || state === "empty")
  const rows = [...posted.enrichments, ...posted.attachments]
  const loot = posted.enrichments.filter(({ plugin_name }) => hostile.has(plugin_name))
  const written = JSON.stringify(rows) + hub.log()
  const leaked = [secret, hub.token].filter((hidden) => written.includes(hidden))
  const onWasm = rogues.filter(({ isolation }) => isolation === "wasm").length * memoryOnWasm
  const astray = fates.filter(({ asItShould }) => !asItShould)
  const checks: ReadonlyArray<Check> = [
    {
      holds: served.length === due,
      what: `every message went through every good plugin: ${served.length} of ${due} jobs, ${rows.length - loot.length} finds`
    },
    {
      holds: astray.length === 0,
      what: `every hostile plugin ended as it had to, in a typed error or in nothing${astray.map(({ rogue }) => `; not ${rogue.name}`).join("")}`
    },
    {
      holds: loot.length === 0 && leaked.length === 0 && home.calls() === 0,
      what: `nothing was stolen: ${loot.length} rows of theirs, ${leaked.length} of 2 secrets in rows or logs, ${home.calls()} calls home`
    },
    {
      holds: health._tag === "Some" && health.value.pid === hub.pid,
      what: `the hub is alive and healthy, the same process all the time; it took posts in ${posted.taken[posted.taken.length >> 1]} ms (median), ${posted.taken.at(-1)} ms at most`
    },
    {
      holds: memory - before < memoryLeeway && most - before < memoryLeeway + onWasm,
      what: `its memory is flat: ${mebibytes(before)} before, ${mebibytes(memory)} after, never above ${mebibytes(most)}${onWasm > 0 ? ` (isolates on WebAssembly are in it)` : ""}`
    },
    {
      holds: hub.log().length < logLimit && !hub.log().includes("\u001b[2J"),
      what: `its log is bounded and clean: ${Math.round(hub.log().length / 1024)} KiB of at most ${logLimit / 1024}, no control characters of theirs`
    },
    {
      holds: stopped.taken < longestStop && stopped.left.length === 0,
      what: `it stopped within ${stopped.taken} ms; of ${pids.size} processes (at most ${processes} at once) ${stopped.left.length} are left`
    }
  ]

  for (const message of posted.posted) {
    const finds = rows.filter((row) =>
      "message_id" in row ? row.message_id === message.id : row.source_message_id === message.id
    )
    yield* Console.log(renderMessage(message, finds.length))
  }
  yield* Console.log(renderFates(fates))
  yield* Console.log(renderChecks(checks))
  if (withoutWasm !== undefined) yield* Console.log(`Without isolation "wasm": ${withoutWasm}`)
  const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
  const failed = checks.filter(({ holds }) => !holds)
  yield* Console.log(
    `${posted.posted.length} messages, ${rogues.length} hostile plugins, ${seconds.toFixed(1)} s: ${failed.length === 0 ? "all as it has to be." : `${failed.length} of ${checks.length} checks FAILED.`}`
  )
  if (failed.length > 0) return yield* new DemoFailed({ reason: failed.map(({ what }) => what).join("; ") })
}).pipe(Effect.scoped)
