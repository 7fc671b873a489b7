/** Who works on which job, where two hubs have one PostgreSQL. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { Statement } from "effect/sql"
import { Committer } from "../src/jobs/Committer.ts"
import * as Database from "../src/database/Database.ts"
import { Findings } from "../src/jobs/Findings.ts"
import { draftEnrichment } from "../src/jobs/findings/drafts.ts"
import type { ClaimedJob, Outcome } from "../src/jobs/Job.ts"
import { EventLog } from "../src/core/EventLog.ts"
import { Ids } from "../src/core/Ids.ts"
import { Messages } from "../src/messages/Messages.ts"
import { Erasures } from "../src/retention/Erasures.ts"
import { JobQueue } from "../src/jobs/JobQueue.ts"
import { Specs } from "../src/plugins/Specs.ts"
import { Topics } from "../src/messages/Topics.ts"
import { databaseOf, onPostgres } from "./testDatabase.ts"
import {
  eventually,
  type Json,
  linkifierSpec,
  makeTopic,
  rowsOf,
  startHub as startWholeHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"

const specs = [linkifierSpec("shouts")]

/** A hub's tables and services, with nobody who works through the queue; it ends with the scope. */
const startHub = Effect.fnUntraced(function* (workspace: string) {
  const storage = Committer.layer.pipe(
    Layer.provideMerge(Messages.layer.pipe(Layer.provide(Erasures.layer))),
    Layer.provideMerge(Topics.layer),
    Layer.provideMerge(
      Layer.mergeAll(Findings.layer, JobQueue.layer).pipe(Layer.provide(Specs.layer(specs)))
    ),
    Layer.provideMerge(Layer.mergeAll(Ids.layer, EventLog.layer)),
    Layer.provideMerge(Database.postgres(databaseOf(workspace).database ?? Redacted.make("")))
  )
  const services = yield* Layer.build(Layer.fresh(storage))
  const queue = Context.get(services, JobQueue)
  return {
    queue,
    take: Effect.map(queue.take(new Map([["shouts", 50]])), ({ jobs }) => jobs),
    commits: Context.get(services, Committer),
    messages: Context.get(services, Messages),
    topics: Context.get(services, Topics)
  }
})

const setUp = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  const one = yield* startHub(workspace)
  const { channel } = yield* one.topics.createChannel("general", undefined)
  const { topic } = yield* one.topics.create(channel.id, "first")
  const post = (hub: typeof one, content_raw: string) =>
    Effect.map(
      hub.messages.create({ topic_id: topic.id, sender: "ana", content_raw }),
      ({ message }) => message.id
    )
  return { workspace, one, post, rows: yield* rowsOf(workspace) }
})

const outcomeOf = (job: ClaimedJob): Outcome => ({
  _tag: "Enrichments",
  job,
  found: [draftEnrichment({ kind: "shout", span: { start: 0, end: 1 }, data: {} })]
})

const idsOf = (jobs: ReadonlyArray<ClaimedJob>): ReadonlyArray<string> =>
  jobs.map(({ message_id }) => message_id)

describe.runIf(onPostgres)("jobs of two hubs", () => {
  it.live("are each taken by one, however many ask at once", () =>
    Effect.gen(function* () {
      const { workspace, one, post } = yield* setUp
      const other = yield* startHub(workspace)
      const posted: Array<string> = []
      for (let n = 0; n < 20; n++) posted.push(yield* post(n % 2 === 0 ? one : other, `A${n}`))
      const taken = yield* Effect.all([one.take, other.take], { concurrency: 2 })
      assert.deepStrictEqual(taken.flatMap(idsOf).toSorted(), posted)
      assert.deepStrictEqual(yield* other.take, [])
      const [first = [], second = []] = taken
      yield* one.commits.commit(first.map(outcomeOf))
      yield* other.commits.commit(second.map(outcomeOf))
      assert.deepStrictEqual(yield* one.take, [])
    })
  )

  it.live("are not far ahead in a hub whose posts got their jobs from the other", () =>
    Effect.gen(function* () {
      const { workspace, one, post, rows } = yield* setUp
      yield* startHub(workspace)
      const { precedence } = one.queue
      const id = yield* post(one, "A")
      const offered = Array.from({ length: 4_100 }, (_, n) => ({
        message_id: id,
        content_version: n + 2,
        traceparent: null
      }))
      yield* one.queue.offer(offered, new Date().toISOString())
      assert.isTrue(precedence.areFarAhead())
      // As the other hub does: the jobs of all but 200 posts.
      yield* rows("DELETE FROM outbox WHERE content_version > 200")
      // One finds 64 posts to create jobs of, so there may be more.
      yield* one.take
      assert.isFalse(precedence.areFarAhead())
    })
  )

  it.live(
    "go to the other when one is taken for dead, and what it still finds is thrown away",
    () =>
      Effect.gen(function* () {
        const { workspace, one, post, rows } = yield* setUp
        const id = yield* post(one, "A")
        const jobs = yield* one.take
        assert.deepStrictEqual(idsOf(jobs), [id])
        const other = yield* startHub(workspace)
        assert.deepStrictEqual(yield* other.take, [])
        const [{ owner }] = yield* rows("SELECT owner FROM derivations")
        // Until the other notices: this one would come back to life first.
        const die = rows(`UPDATE hubs SET alive_until = now() - interval '1 second'
        WHERE id = '${owner}'`)
        const again = yield* eventually(
          Effect.andThen(die, Effect.orDie(other.take)),
          ({ length }) => length > 0
        )
        assert.deepStrictEqual(idsOf(again), [id])
        assert.strictEqual(again[0]?.attempts, 2)
        assert.deepStrictEqual(yield* one.commits.commit(jobs.map(outcomeOf)), [])
        assert.deepStrictEqual(yield* rows("SELECT id FROM enrichments"), [])
        assert.strictEqual((yield* other.commits.commit(again.map(outcomeOf))).length, 1)
        assert.strictEqual((yield* rows("SELECT id FROM enrichments")).length, 1)
        // It lives after all: it has its place again, and takes jobs as before.
        yield* eventually(rows("SELECT id FROM hubs WHERE alive_until > now()"), (hubs) => hubs.length === 2)
        yield* post(other, "B")
        one.queue.release(jobs)
        assert.strictEqual((yield* one.take).length, 1)
      }),
    60_000
  )

  it.live("are given back by a hub that stops, as if never begun", () =>
    Effect.gen(function* () {
      const { workspace, one, post, rows } = yield* setUp
      const scope = yield* Scope.make()
      const other = yield* Scope.provide(startHub(workspace), scope)
      const id = yield* post(one, "A")
      assert.deepStrictEqual(idsOf(yield* other.take), [id])
      let arrivals = 0
      one.queue.onArrival(() => arrivals++)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* rows("SELECT owner, attempts FROM derivations"), [
        { owner: null, attempts: 0 }
      ])
      yield* eventually(
        Effect.sync(() => arrivals),
        (count) => count > 0,
        2_000
      )
      assert.deepStrictEqual(idsOf(yield* one.take), [id])
      assert.strictEqual((yield* rows("SELECT id FROM hubs")).length, 1)
    })
  )
})

describe.runIf(onPostgres)("jobs of a plugin whose circuit is open at one hub", () => {
  const plugins = [linkifierSpec("moody")]
  const breaker = { failureThreshold: 1, cooldown: "1 hour" } as const
  const states = (rows: (sql: string) => Effect.Effect<ReadonlyArray<Json>>) =>
    rows("SELECT state, owner, attempts, count(*) AS n FROM derivations GROUP BY 1, 2, 3 ORDER BY 1")
  const postMany = Effect.fnUntraced(function* (hub: TestHub) {
    const { topic } = yield* makeTopic(hub)
    yield* Effect.forEach(
      Array.from({ length: 80 }),
      (_, at) => hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: `${at}` }),
      { concurrency: 8 }
    )
  })

  it.live("are done by another hub, whose circuit is closed", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const { database = Redacted.make("") } = databaseOf(workspace)
      const ran: Array<string> = []
      const one = yield* startWholeHub({
        workspace,
        plugins,
        breaker,
        fakes: { moody: () => Effect.sync(() => void ran.push("one")) }
      })
      yield* postMany(one)
      // Those that ran before the first had failed have failed, and all others are nobody's.
      const settled = yield* eventually(
        states(one.rows),
        (all) => all.length > 1 && all.every(({ state, owner }) => state !== "pending" || owner === null)
      )
      const [failed, pending] = settled
      const failures = ran.length
      assert.isBelow(failures, 20)
      assert.deepStrictEqual([failed.state, Number(failed.n)], ["failed", failures])
      assert.deepStrictEqual([pending.state, pending.attempts, settled.length], ["pending", 0, 2])
      const found = [{ kind: "k", span: { start: 0, end: 1 }, data: {} }]
      yield* startWholeHub({ database, plugins, breaker, fakes: { moody: () => Effect.succeed(found) } })
      yield* eventually(
        one.rows("SELECT count(*) AS n FROM derivations WHERE state = 'committed'"),
        ([row]) => Number(row.n) === 80 - failures
      )
      assert.strictEqual(ran.length, failures)
    })
  )

  it.live("wait in peace where the circuits of all hubs are open", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const { database = Redacted.make("") } = databaseOf(workspace)
      let statements = 0
      const count: Statement.Transformer = (statement) =>
        Effect.sync(() => {
          statements++
          return statement
        })
      const fakes = { moody: () => Effect.succeed("no list") }
      const both = Effect.gen(function* () {
        const one = yield* startWholeHub({ workspace, plugins, breaker, fakes })
        const other = yield* startWholeHub({ database, plugins, breaker, fakes })
        return [one, other] as const
      })
      const [one] = yield* Effect.provideService(both, Statement.CurrentTransformer, count)
      yield* postMany(one)
      yield* eventually(
        one.rows("SELECT count(*) AS n FROM derivations WHERE state = 'failed'"),
        ([row]) => row.n >= 2
      )
      yield* eventually(
        states(one.rows),
        (all) => all.length > 1 && all.every(({ state, owner }) => state !== "pending" || owner === null)
      )
      const before = statements
      yield* Effect.sleep("1 second")
      // Leases are renewed, and each hub looks for news now and then.
      assert.isBelow(statements - before, 40)
    })
  )
})
