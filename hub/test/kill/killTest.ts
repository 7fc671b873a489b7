/** Kills a hub again and again while clients write to it, and tells what was lost or done twice. */
import { Effect, Exit, Fiber, Random, Scope } from "effect"
import * as path from "node:path"
import { ready, type Running, spawnHub, start } from "../killableHub.ts"
import { eventually, type Json, tempWorkspace } from "../testHub.ts"
import { client, makeTarget, type Target } from "./clients.ts"
import { countEvents, countOpenJobs, readDatabase } from "./Database.ts"
import { type Follower, follow } from "./followers.ts"
import { makeLedger } from "./Ledger.ts"
import { verifyAnswers, verifyFollower } from "./verifyAnswers.ts"
import { verifyLog } from "./verifyLog.ts"
import { verifyAcknowledged, verifyDerived, verifyFile, verifyJobs, verifyMessages } from "./verifyRows.ts"

export interface KillTestOptions {
  readonly kills: number
  /** Posts, edits and deletes that are to be acknowledged. */
  readonly operations: number
  readonly seed: number
  readonly clients?: number
  readonly progress?: (text: string) => void
}

export interface Summary {
  readonly figures: Readonly<Record<string, number>>
  readonly violations: ReadonlyArray<string>
}

/** Milliseconds that a client rests at most; together they leave the plugins some time. */
const rest = 30
/** A start that is killed before it serves is killed within so many milliseconds. */
const bootMillis = 1_500
const shareOfBoots = 0.1

const serve = (target: Target, hub: Running): void => {
  target.hub = hub
  target.up.openUnsafe()
}

const leave = (target: Target): void => {
  target.hub = undefined
  target.up.closeUnsafe()
}

const makeTopics = Effect.fnUntraced(function* ({ api }: Running) {
  const { body } = yield* api.post("/api/v1/channels", { name: "general" })
  const channel_id: string = body.channel.id
  const answers = yield* Effect.forEach(["first", "second", "third"], (title) =>
    api.post("/api/v1/topics", { channel_id, title })
  )
  return answers.map(({ body }) => String(body.topic.id))
})

const run = Effect.fnUntraced(function* (options: KillTestOptions) {
  const { kills, operations, progress = () => {} } = options
  const begun = Date.now()
  const workspace = yield* tempWorkspace
  const file = path.join(workspace, ".agentlip", "db.sqlite3")
  const ledger = makeLedger()
  const target = makeTarget()
  const first = yield* Scope.make()
  const topics = yield* makeTopics(yield* Scope.provide(start(workspace), first))
  yield* Scope.close(first, Exit.void)

  const clients = yield* Effect.forkChild(
    Effect.forEach(
      Array.from({ length: options.clients ?? 12 }),
      (_, n) =>
        client(target, ledger, { topics, operations, rest }, n % 2 === 1).pipe(
          Random.withSeed(`${options.seed}/${n}`)
        ),
      { concurrency: "unbounded", discard: true }
    )
  )
  const followers = yield* follow(target)
  let killedAtBoot = 0

  const live = Effect.fnUntraced(function* (left: number) {
    const hub = yield* spawnHub(workspace)
    if ((yield* Random.next) < shareOfBoots) {
      killedAtBoot++
      return yield* Effect.sleep(bootMillis * (yield* Random.next))
    }
    serve(target, yield* ready(workspace, hub.process))
    const share = (2 * (operations - ledger.acknowledged)) / left
    const enough = ledger.acknowledged + share * (yield* Random.next)
    while (ledger.acknowledged < Math.min(enough, operations)) yield* Effect.sleep("1 millis")
    yield* Effect.sleep(400 * (yield* Random.next))
    leave(target)
  })

  for (let left = kills; left > 0; left--) {
    // The end of the scope is the kill.
    yield* Effect.scoped(live(left))
    if (left % 10 === 0) progress(`${kills - left + 1} kills, ${ledger.acknowledged} operations acknowledged`)
  }

  const last = yield* Scope.make()
  serve(target, yield* Scope.provide(start(workspace), last))
  yield* Fiber.join(clients)
  yield* eventually(
    Effect.sync(() => countOpenJobs(file)),
    (open) => open === 0,
    120_000
  )
  const events = countEvents(file)
  const seen = (follower: Follower): boolean => follower.events.length >= events
  yield* eventually(
    Effect.sync(() => followers.map(seen)),
    (all) => all.every(Boolean)
  ).pipe(Effect.exit)
  leave(target)
  yield* Scope.close(last, Exit.void)

  const database = readDatabase(file)
  const verdict = verifyLog(ledger, database)
  const { told } = verdict
  const count = (kind: string): number =>
    ledger.operations.filter(({ change, outcome }) => change.kind === kind && typeof outcome === "object")
      .length
  const ofName = (name: string): number => database.events.filter((event: Json) => event.name === name).length
  return {
    figures: {
      kills,
      "kills during a start": killedAtBoot,
      "operations sent": ledger.operations.length,
      "operations acknowledged": ledger.acknowledged,
      "posts acknowledged": count("post"),
      "edits acknowledged": count("edit"),
      "deletes acknowledged": count("delete"),
      "operations without an answer": ledger.operations.filter(({ outcome }) => outcome === "unknown").length,
      "operations sent again with their key": ledger.operations.filter(({ sent }) => sent > 1).length,
      "of which had happened": ledger.replayed,
      messages: database.messages.length,
      "messages that live": database.messages.filter(({ deleted_at }) => deleted_at === null).length,
      enrichments: database.enrichments.length,
      attachments: database.attachments.length,
      jobs: database.derivations.length,
      "jobs begun more than once": database.derivations.filter(({ attempts }) => attempts > 1).length,
      "times that one job was begun, at most": database.derivations.reduce(
        (most, { attempts }) => Math.max(most, attempts),
        0
      ),
      events: database.events.length,
      "events message.enriched": ofName("message.enriched"),
      ...Object.fromEntries(
        followers.map(({ name, connections }) => [`times ${name} was joined`, connections])
      ),
      seconds: Math.round((Date.now() - begun) / 1000)
    },
    violations: [
      ...ledger.unexpected,
      ...verdict.violations,
      ...verifyAnswers(ledger, verdict),
      ...followers.flatMap((follower) => verifyFollower(follower, database.events)),
      ...verifyAcknowledged(ledger, database),
      ...verifyMessages(told, database),
      ...verifyDerived(told, database),
      ...verifyJobs(told, database),
      ...verifyFile(database)
    ]
  } satisfies Summary
})

/** Leaves nothing behind: neither the workspace nor a process. */
export const killTest = (options: KillTestOptions): Effect.Effect<Summary> =>
  Effect.scoped(run(options)).pipe(Random.withSeed(options.seed))
