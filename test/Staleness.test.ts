import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Result, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import { StaleOutput } from "../src/Errors.ts"
import { ContentNotText, type MessageSnapshot, Staleness, type StalenessOptions } from "../src/Staleness.ts"
import { type Database, dialects, isRetryable } from "./support/postgres.ts"

const stalenessOver = (sql: SqlClient.SqlClient, options?: StalenessOptions) =>
  Effect.map(
    Layer.build(options === undefined ? Staleness.layer : Staleness.layerWith(options)).pipe(
      Effect.provideService(SqlClient.SqlClient, sql)
    ),
    (services) => Context.get(services, Staleness)
  )

/** A hub's tables as far as derived rows need them; `derived.content` is the text a row was made from. */
const makeHub = Effect.fnUntraced(function* (database: Database) {
  const sql = yield* database.connect
  yield* sql`
    CREATE TABLE messages (
      id TEXT PRIMARY KEY, topic_id TEXT NOT NULL, content_raw TEXT NOT NULL, deleted_at TEXT
    )
  `
  yield* sql`CREATE TABLE derived (message_id TEXT NOT NULL REFERENCES messages (id), content TEXT NOT NULL)`
  yield* sql`INSERT INTO messages (id, topic_id, content_raw) VALUES ('m', 'here', 'old')`
  /** A client as the hub's other process, or other request, has one. */
  const other = yield* database.connect
  return {
    sql,
    other,
    staleness: yield* stalenessOver(sql),
    meetLock: database.meetLock,
    derive: (snapshot: MessageSnapshot, client = sql) =>
      client`INSERT INTO derived ${client.insert({ message_id: snapshot.messageId, content: snapshot.content_raw })}`,
    derived: Effect.map(sql<{ content: string }>`SELECT content FROM derived ORDER BY content`, (rows) =>
      rows.map(({ content }) => content)
    ),
    /** As a hub edits: what was derived from the old content goes with it. */
    edit: (content: string, client = sql) =>
      client.withTransaction(
        Effect.andThen(
          client`UPDATE messages SET content_raw = ${content} WHERE id = 'm'`,
          client`DELETE FROM derived WHERE message_id = 'm'`
        )
      ),
    delete: sql`UPDATE messages SET deleted_at = '2026-01-01T00:00:00Z' WHERE id = 'm'`
  }
})

const reasonOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<string, A> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, StaleOutput)
    assert.strictEqual(error.messageId, "m")
    return error.reason
  })

const mustNotRun = Effect.die("must not run")

describe.each(dialects)("Staleness on $name", ({ name, available, database, begin }) => {
  const hub = Effect.flatMap(database, makeHub)
  const test = it.live.runIf(available)

  describe("capture", () => {
    test("reads the content of a live message", () =>
      Effect.gen(function* () {
        const { staleness } = yield* hub
        assert.deepStrictEqual(yield* staleness.capture("m"), { messageId: "m", content_raw: "old" })
      }))

    test("fails for a message that is missing or deleted", () =>
      Effect.gen(function* () {
        const hub_ = yield* hub
        const missing = yield* Effect.flip(hub_.staleness.capture("x' OR '1'='1"))
        assert.deepStrictEqual(missing, new StaleOutput({ messageId: "x' OR '1'='1", reason: "MISSING" }))
        yield* hub_.delete
        assert.strictEqual(yield* reasonOf(hub_.staleness.capture("m")), "DELETED")
      }))
  })

  describe("commit", () => {
    test("writes and answers what the write answers", () =>
      Effect.gen(function* () {
        const { staleness, derive, derived } = yield* hub
        const snapshot = yield* staleness.capture("m")
        assert.strictEqual(yield* staleness.commit(snapshot, Effect.as(derive(snapshot), 42)), 42)
        assert.deepStrictEqual(yield* derived, ["old"])
      }))

    test("refuses after an edit, and does not run the write", () =>
      Effect.gen(function* () {
        const { staleness, edit } = yield* hub
        const snapshot = yield* staleness.capture("m")
        yield* edit("new")
        assert.strictEqual(yield* reasonOf(staleness.commit(snapshot, mustNotRun)), "CONTENT_CHANGED")
      }))

    test("takes no two texts for the same that differ in a code unit", () =>
      Effect.gen(function* () {
        const { staleness, edit } = yield* hub
        const texts = ["", " ", "é", "e\u0301", "É", "a", "a ", "A", "😀", "😁", "a\n", "a\r\n", "1", "1.0"]
        for (const text of texts) {
          yield* edit(text)
          for (const content_raw of texts) {
            const commit = staleness.commit({ messageId: "m", content_raw }, Effect.void)
            assert.strictEqual(Exit.isSuccess(yield* Effect.exit(commit)), text === content_raw, text)
          }
        }
      }))

    test("goes through after an edit that was edited back", () =>
      Effect.gen(function* () {
        const { staleness, edit, derive, derived } = yield* hub
        const snapshot = yield* staleness.capture("m")
        yield* edit("new")
        yield* edit("old")
        yield* staleness.commit(snapshot, derive(snapshot))
        assert.deepStrictEqual(yield* derived, ["old"])
      }))

    test("goes through after a move", () =>
      Effect.gen(function* () {
        const { sql, staleness, derive, derived } = yield* hub
        const snapshot = yield* staleness.capture("m")
        yield* sql`UPDATE messages SET topic_id = 'there' WHERE id = 'm'`
        yield* staleness.commit(snapshot, derive(snapshot))
        assert.deepStrictEqual(yield* derived, ["old"])
      }))

    test("refuses after a deletion, even if the content is the same", () =>
      Effect.gen(function* () {
        const { staleness, delete: remove } = yield* hub
        const snapshot = yield* staleness.capture("m")
        yield* remove
        assert.strictEqual(yield* reasonOf(staleness.commit(snapshot, mustNotRun)), "DELETED")
      }))

    test("refuses when the row is gone", () =>
      Effect.gen(function* () {
        const { sql, staleness } = yield* hub
        const snapshot = yield* staleness.capture("m")
        yield* sql`DELETE FROM messages`
        assert.strictEqual(yield* reasonOf(staleness.commit(snapshot, mustNotRun)), "MISSING")
      }))

    test("rolls back a write that fails, dies or is interrupted, and lets the next one through", () =>
      Effect.gen(function* () {
        const { staleness, derive, derived } = yield* hub
        const snapshot = yield* staleness.capture("m")
        const written = derive(snapshot)
        const failed = yield* Effect.exit(
          staleness.commit(snapshot, Effect.andThen(written, Effect.fail("no")))
        )
        assert.deepStrictEqual(failed, Exit.fail("no"))
        const died = yield* Effect.exit(staleness.commit(snapshot, Effect.andThen(written, Effect.die("oh"))))
        assert.deepStrictEqual(died, Exit.die("oh"))

        const inside = yield* Deferred.make<void>()
        const hanging = written.pipe(
          Effect.andThen(Deferred.succeed(inside, undefined)),
          Effect.andThen(Effect.never)
        )
        const fiber = yield* Effect.forkChild(staleness.commit(snapshot, hanging))
        yield* Deferred.await(inside)
        yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))

        assert.deepStrictEqual(yield* derived, [])
        yield* staleness.commit(snapshot, written)
        assert.deepStrictEqual(yield* derived, ["old"])
      }))

    it.live.runIf(name === "SQLite")("touches no row to take SQLite's lock: no trigger fires", () =>
      Effect.gen(function* () {
        const { sql, staleness, derive, derived } = yield* hub
        yield* sql`CREATE TRIGGER frozen BEFORE UPDATE ON messages BEGIN SELECT RAISE(ABORT, 'frozen'); END`
        const snapshot = yield* staleness.capture("m")
        yield* staleness.commit(snapshot, derive(snapshot))
        assert.deepStrictEqual(yield* derived, ["old"])
      })
    )

    test("the accessors use the Staleness in context", () =>
      Effect.gen(function* () {
        const { sql, derive, derived } = yield* hub
        yield* Effect.gen(function* () {
          const snapshot = yield* Staleness.capture("m")
          yield* Staleness.commit(snapshot, derive(snapshot))
        }).pipe(Effect.provide(Staleness.layer), Effect.provideService(SqlClient.SqlClient, sql))
        assert.deepStrictEqual(yield* derived, ["old"])
      }))
  })

  describe("commitAll", () => {
    const many = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, count: number) {
      const ids = Array.from({ length: count }, (_, at) => `many ${at}`)
      for (const id of ids) {
        yield* sql`INSERT INTO messages ${sql.insert({ id, topic_id: "here", content_raw: `of ${id}` })}`
      }
      return ids.map((messageId): MessageSnapshot => ({ messageId, content_raw: `of ${messageId}` }))
    })
    const reasons = (checked: ReadonlyArray<Result.Result<MessageSnapshot, StaleOutput>>) =>
      checked.map((check) => (Result.isFailure(check) ? check.failure.reason : check.success.messageId))

    test("commits what is current, and tells what is stale and why, in the order given", () =>
      Effect.gen(function* () {
        const { sql, staleness, derive, derived } = yield* hub
        const [same, edited, deleted, gone] = yield* many(sql, 4)
        if (!same || !edited || !deleted || !gone) return assert.fail()
        yield* sql`UPDATE messages SET content_raw = 'new' WHERE id = ${edited.messageId}`
        yield* sql`UPDATE messages SET deleted_at = 'now' WHERE id = ${deleted.messageId}`
        yield* sql`DELETE FROM messages WHERE id = ${gone.messageId}`
        const mine = { messageId: "m", content_raw: "old" }
        const group = [edited, same, gone, mine, deleted, same]
        const found = yield* staleness.commitAll(group, (checked) =>
          Effect.forEach(
            checked.filter((check) => Result.isSuccess(check)),
            ({ success }) => derive(success)
          ).pipe(Effect.as(reasons(checked)))
        )
        assert.deepStrictEqual(found, [
          "CONTENT_CHANGED",
          same.messageId,
          "MISSING",
          "m",
          "DELETED",
          same.messageId
        ])
        assert.deepStrictEqual(yield* derived, [same.content_raw, same.content_raw, "old"])
      }))

    test("takes groups of any size, and none at all", () =>
      Effect.gen(function* () {
        const { sql, staleness } = yield* hub
        const all = yield* many(sql, 300)
        for (const size of [0, 1, 3, 256, 257, 300]) {
          const group = all.slice(0, size)
          const found = yield* staleness.commitAll(group, (checked) => Effect.succeed(reasons(checked)))
          assert.deepStrictEqual(
            found,
            group.map(({ messageId }) => messageId)
          )
        }
      }))

    test("commits nothing if the write fails", () =>
      Effect.gen(function* () {
        const { staleness, derive, derived } = yield* hub
        const snapshot = yield* staleness.capture("m")
        const write = () => Effect.andThen(derive(snapshot), Effect.fail("no"))
        assert.strictEqual(yield* Effect.flip(staleness.commitAll([snapshot], write)), "no")
        assert.deepStrictEqual(yield* derived, [])
      }))

    test("holds its messages until it has committed, also against groups in another order", () =>
      Effect.gen(function* () {
        const { sql, other, staleness, derive, derived } = yield* hub
        const elsewhere = yield* stalenessOver(other)
        const all = yield* many(sql, 20)
        const soon = Schedule.spaced("2 millis")
        const group = (guard: typeof staleness, client: SqlClient.SqlClient, snapshots: typeof all) =>
          guard
            .commitAll(snapshots, (checked) =>
              Effect.forEach(
                checked.filter((check) => Result.isSuccess(check)),
                ({ success }) =>
                  Effect.andThen(
                    derive(success, client),
                    client`UPDATE messages SET content_raw = 'taken' WHERE id = ${success.messageId}`
                  ),
                { discard: true }
              )
            )
            .pipe(Effect.retry({ while: isRetryable, schedule: soon }))
        yield* Effect.all(
          Array.from({ length: 10 }, (_, at) =>
            at % 2 === 0 ? group(staleness, sql, all) : group(elsewhere, other, all.toReversed())
          ),
          { concurrency: "unbounded" }
        )
        // Each message was current for one group only.
        assert.deepStrictEqual(yield* derived, all.map(({ content_raw }) => content_raw).toSorted())
      }))

    test("the accessor uses the Staleness in context", () =>
      Effect.gen(function* () {
        const { sql, derive, derived } = yield* hub
        yield* Effect.gen(function* () {
          const snapshot = yield* Staleness.capture("m")
          yield* Staleness.commitAll([snapshot], () => derive(snapshot))
        }).pipe(Effect.provide(Staleness.layer), Effect.provideService(SqlClient.SqlClient, sql))
        assert.deepStrictEqual(yield* derived, ["old"])
      }))
  })

  describe("commit inside an outer transaction", () => {
    test("a stale output undoes nothing but itself", () =>
      Effect.gen(function* () {
        const { sql, staleness, derive, derived } = yield* hub
        const stale = { messageId: "m", content_raw: "older" }
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* derive({ messageId: "m", content_raw: "outer" })
            assert.strictEqual(yield* reasonOf(staleness.commit(stale, mustNotRun)), "CONTENT_CHANGED")
            const snapshot = yield* staleness.capture("m")
            yield* Effect.exit(
              staleness.commit(snapshot, Effect.andThen(derive(snapshot), Effect.fail("no")))
            )
            yield* staleness.commit(snapshot, derive({ messageId: "m", content_raw: "inner" }))
          })
        )
        assert.deepStrictEqual(yield* derived, ["inner", "outer"])
      }))

    test("goes when the outer one rolls back", () =>
      Effect.gen(function* () {
        const { sql, staleness, derive, derived } = yield* hub
        const snapshot = yield* staleness.capture("m")
        yield* Effect.exit(
          sql.withTransaction(Effect.andThen(staleness.commit(snapshot, derive(snapshot)), Effect.fail("no")))
        )
        assert.deepStrictEqual(yield* derived, [])
      }))

    test("sees the outer transaction's own edit", () =>
      Effect.gen(function* () {
        const { sql, staleness, edit } = yield* hub
        const snapshot = yield* staleness.capture("m")
        const inner = reasonOf(staleness.commit(snapshot, mustNotRun))
        const reason = yield* sql.withTransaction(Effect.andThen(edit("new"), inner))
        assert.strictEqual(reason, "CONTENT_CHANGED")
      }))
  })

  describe.each([
    { how: "as the client does", statement: undefined },
    { how: begin, statement: begin }
  ])("concurrently, begun $how", ({ statement }) => {
    const begun = Effect.provideService(SqlClient.BeginTransaction, statement)
    const soon = Schedule.spaced("2 millis")
    const untilThrough = Effect.retry({ while: isRetryable, schedule: soon })

    test("nobody edits between the look and the commit", () =>
      Effect.gen(function* () {
        const { other, staleness, meetLock, edit, derive, derived } = yield* hub
        const snapshot = yield* staleness.capture("m")
        const looked = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        const write = Deferred.succeed(looked, undefined).pipe(
          Effect.andThen(Deferred.await(go)),
          Effect.andThen(derive(snapshot))
        )
        const committing = yield* Effect.forkChild(begun(staleness.commit(snapshot, write)))
        yield* Deferred.await(looked)
        // Others may look meanwhile, and do not wait.
        const elsewhere = yield* stalenessOver(other)
        assert.deepStrictEqual(yield* elsewhere.capture("m"), snapshot)

        const met = yield* Deferred.make<void>()
        const editing = yield* Effect.forkChild(meetLock(met)(edit("new", other)))
        const first = yield* Effect.raceFirst(
          Effect.as(Deferred.await(met), "waits"),
          Effect.as(Fiber.join(editing), "edited")
        )
        assert.strictEqual(first, "waits")
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(committing)
        yield* Fiber.join(editing)
        // The edit came after the commit and took with it what was derived from the old content.
        assert.deepStrictEqual(yield* derived, [])
        assert.strictEqual(yield* reasonOf(staleness.commit(snapshot, mustNotRun)), "CONTENT_CHANGED")
      }))

    for (const outcome of ["commits", "rolls back"] as const) {
      test(`waits for an edit in flight, which ${outcome}`, () =>
        Effect.gen(function* () {
          const { other, staleness, meetLock, edit, derive, derived } = yield* hub
          const snapshot = yield* staleness.capture("m")
          const edited = yield* Deferred.make<void>()
          const go = yield* Deferred.make<void, "no">()
          const editing = yield* Effect.forkChild(
            other.withTransaction(
              edit("new", other).pipe(
                Effect.andThen(Deferred.succeed(edited, undefined)),
                Effect.andThen(Deferred.await(go))
              )
            )
          )
          yield* Deferred.await(edited)

          const met = yield* Deferred.make<void>()
          const commit = begun(staleness.commit(snapshot, derive(snapshot)))
          const committing = yield* Effect.forkChild(meetLock(met)(commit))
          const first = yield* Effect.raceFirst(
            Effect.as(Deferred.await(met), "waits"),
            Effect.as(Fiber.await(committing), "went on")
          )
          assert.strictEqual(first, "waits")
          yield* outcome === "commits" ? Deferred.succeed(go, undefined) : Deferred.fail(go, "no")
          yield* Fiber.await(editing)
          if (outcome === "commits") {
            assert.strictEqual(yield* reasonOf(Fiber.join(committing)), "CONTENT_CHANGED")
            assert.deepStrictEqual(yield* derived, [])
          } else {
            yield* Fiber.join(committing)
            assert.deepStrictEqual(yield* derived, ["old"])
          }
        }))
    }

    test("twenty committers on one snapshot, of which the first changes the content: one wins", () =>
      Effect.gen(function* () {
        const { sql, other, staleness, edit } = yield* hub
        const stalenessOther = yield* stalenessOver(other)
        const snapshot = yield* staleness.capture("m")
        const exits = yield* Effect.forEach(
          Array.from({ length: 20 }),
          (_, index) => {
            const [client, guard] = index % 2 === 0 ? [sql, staleness] : [other, stalenessOther]
            return begun(guard.commit(snapshot, edit(`by ${index}`, client))).pipe(untilThrough, Effect.exit)
          },
          { concurrency: "unbounded" }
        )
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
        const reasons = yield* Effect.forEach(exits.filter(Exit.isFailure), (exit) => reasonOf(exit))
        assert.deepStrictEqual(reasons, Array(19).fill("CONTENT_CHANGED"))
      }))

    test("among committers and editors no row is ever derived from a content that is not there", () =>
      Effect.gen(function* () {
        const { sql, other, staleness, edit, derive } = yield* hub
        const stalenessOther = yield* stalenessOver(other)
        const plugins = Effect.forEach(
          Array.from({ length: 20 }),
          (_, index) => {
            const [client, guard] = index % 2 === 0 ? [sql, staleness] : [other, stalenessOther]
            return Effect.gen(function* () {
              const snapshot = yield* guard.capture("m")
              // Plugins think for a while, and not equally long.
              yield* Effect.repeat(Effect.yieldNow, { times: index * 3 })
              yield* begun(guard.commit(snapshot, Effect.andThen(Effect.yieldNow, derive(snapshot, client))))
            }).pipe(
              // A hub runs a plugin again on the new content.
              Effect.retry({
                while: (error) => error._tag === "StaleOutput" || isRetryable(error),
                schedule: soon
              })
            )
          },
          { concurrency: "unbounded", discard: true }
        )
        const edits = Effect.forEach(
          Array.from({ length: 10 }),
          (_, index) => edit(`edit ${index}`, index % 2 === 0 ? other : sql).pipe(untilThrough),
          { discard: true }
        )
        yield* Effect.all([plugins, edits], { concurrency: 2 })
        const wrong = yield* sql`
            SELECT derived.content, messages.content_raw FROM derived
            JOIN messages ON messages.id = derived.message_id WHERE derived.content <> messages.content_raw
          `
        assert.deepStrictEqual(wrong, [])
      }))
  })

  describe("names", () => {
    test("a hub's own table and columns, however they are called", () =>
      Effect.gen(function* () {
        const sql = yield* Effect.flatMap(database, ({ connect }) => connect)
        const names = { table: "Chat Posts", id: 'post "id"', content: "select", deletedAt: "removed; --" }
        yield* sql`
          CREATE TABLE ${sql(names.table)} (
            ${sql(names.id)} TEXT PRIMARY KEY, ${sql(names.content)} TEXT NOT NULL, ${sql(names.deletedAt)} TEXT
          )
        `
        yield* sql`INSERT INTO ${sql(names.table)} VALUES ('m', 'old', NULL)`
        const staleness = yield* stalenessOver(sql, names)
        const snapshot = yield* staleness.capture("m")
        assert.deepStrictEqual(snapshot, { messageId: "m", content_raw: "old" })
        assert.strictEqual(yield* staleness.commit(snapshot, Effect.succeed("written")), "written")
        yield* sql`UPDATE ${sql(names.table)} SET ${sql(names.content)} = 'new'`
        assert.strictEqual(yield* reasonOf(staleness.commit(snapshot, mustNotRun)), "CONTENT_CHANGED")
        yield* sql`UPDATE ${sql(names.table)} SET ${sql(names.deletedAt)} = 'now'`
        assert.strictEqual(yield* reasonOf(staleness.capture("m")), "DELETED")
      }))

    test("a content column that holds no text is a failure that names it", () =>
      Effect.gen(function* () {
        const sql = yield* Effect.flatMap(database, ({ connect }) => connect)
        yield* sql`CREATE TABLE posts (id TEXT PRIMARY KEY, size INTEGER, deleted_at TEXT)`
        yield* sql`INSERT INTO posts VALUES ('m', 1, NULL)`
        const staleness = yield* stalenessOver(sql, { table: "posts", content: "size" })
        const error = new ContentNotText({ messageId: "m", column: "posts.size", found: "number" })
        assert.include(error.message, "Message m has number in posts.size")
        assert.deepStrictEqual(yield* Effect.flip(staleness.capture("m")), error)
        const commit = staleness.commit({ messageId: "m", content_raw: "1" }, mustNotRun)
        assert.deepStrictEqual(yield* Effect.flip(commit), error)
      }))

    test("a null is no text to capture, and other than any text that was captured", () =>
      Effect.gen(function* () {
        const sql = yield* Effect.flatMap(database, ({ connect }) => connect)
        yield* sql`CREATE TABLE messages (id TEXT PRIMARY KEY, content_raw TEXT, deleted_at TEXT)`
        yield* sql`INSERT INTO messages VALUES ('m', '', NULL)`
        const staleness = yield* stalenessOver(sql)
        const empty = yield* staleness.capture("m")
        assert.strictEqual(empty.content_raw, "")
        yield* sql`UPDATE messages SET content_raw = NULL`
        assert.deepStrictEqual(
          yield* Effect.flip(staleness.capture("m")),
          new ContentNotText({ messageId: "m", column: "messages.content_raw", found: "null" })
        )
        for (const content_raw of ["", "null", "old"]) {
          const commit = staleness.commit({ messageId: "m", content_raw }, mustNotRun)
          assert.strictEqual(yield* reasonOf(commit), "CONTENT_CHANGED")
        }
        // A hub that wipes what it deletes.
        yield* sql`UPDATE messages SET deleted_at = 'now'`
        assert.strictEqual(yield* reasonOf(staleness.capture("m")), "DELETED")
        assert.strictEqual(yield* reasonOf(staleness.commit(empty, mustNotRun)), "DELETED")
        // The remedy.
        yield* sql`UPDATE messages SET deleted_at = NULL, content_raw = 'new'`
        assert.strictEqual((yield* staleness.capture("m")).content_raw, "new")
      }))

    test("a table that is not there is an SqlError", () =>
      Effect.gen(function* () {
        const sql = yield* Effect.flatMap(database, ({ connect }) => connect)
        const staleness = yield* stalenessOver(sql, { table: "nowhere" })
        const snapshot = { messageId: "m", content_raw: "old" }
        assert.strictEqual((yield* Effect.flip(staleness.capture("m")))._tag, "SqlError")
        assert.strictEqual((yield* Effect.flip(staleness.commit(snapshot, mustNotRun)))._tag, "SqlError")
      }))
  })
})
