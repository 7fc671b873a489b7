import { assert, describe, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  References,
  Result,
  type Scope,
  Stream
} from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { execFile } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { promisify } from "node:util"
import { Worker } from "node:worker_threads"
import { fateOf, type Identity, identityOf } from "../src/database/identityOf.ts"
import * as Sqlite from "../src/database/Sqlite.ts"

const execute = promisify(execFile)

const tempFile = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "hub-sqlite-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
).pipe(Effect.map((folder) => path.join(folder, "db.sqlite3")))

const client = (options: Sqlite.SqliteOptions): Effect.Effect<SqlClient.SqlClient, unknown, Scope.Scope> =>
  Effect.map(Layer.build(Sqlite.layer(options)), Context.get(SqlClient.SqlClient))

const memory = client({ filename: ":memory:" })

const plain = (rows: ReadonlyArray<unknown>): unknown => JSON.parse(JSON.stringify(rows))

describe("Sqlite", () => {
  it.live("opens with WAL and foreign keys", () =>
    Effect.gen(function* () {
      const sql = yield* client({ filename: yield* tempFile })
      assert.deepStrictEqual(plain(yield* sql`PRAGMA journal_mode`), [{ journal_mode: "wal" }])
      assert.deepStrictEqual(plain(yield* sql`PRAGMA foreign_keys`), [{ foreign_keys: 1 }])
    })
  )

  it.live("converts parameters and refuses what SQLite cannot store", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      const at = new Date(0)
      const rows = yield* sql`SELECT ${true} AS yes, ${at} AS at, ${undefined} AS missing, ${5n} AS five`
      assert.deepStrictEqual(plain(rows), [
        { yes: 1, at: "1970-01-01T00:00:00.000Z", missing: null, five: 5 }
      ])
      const error = yield* Effect.flip(sql.unsafe("SELECT ?", [{}]))
      assert.strictEqual(error._tag, "SqlError")
    })
  )

  it.live("gives safe integers as numbers, larger ones as bigint, all as bigint on request", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      const select = sql<{ small: unknown; edge: unknown; large: unknown }>`
        SELECT 1 AS small, 9007199254740991 AS edge, 9223372036854775807 AS large`
      const [row] = yield* select
      assert.strictEqual(row?.small, 1)
      assert.strictEqual(row?.edge, Number.MAX_SAFE_INTEGER)
      assert.strictEqual(row?.large, 9223372036854775807n)
      const [values] = yield* select.values
      assert.deepStrictEqual(values, [1, Number.MAX_SAFE_INTEGER, 9223372036854775807n])
      const [streamed] = yield* Stream.runCollect(select.stream)
      assert.strictEqual(streamed?.large, 9223372036854775807n)
      assert.strictEqual(streamed?.small, 1)
      const [exact] = yield* Effect.provideService(select, SqlClient.SafeIntegers, true)
      assert.strictEqual(exact?.small, 1n)
    })
  )

  it.live("answers raw with the changes, values with duplicate column names kept apart", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      yield* sql`CREATE TABLE t (n INTEGER PRIMARY KEY)`
      assert.deepStrictEqual(yield* sql`INSERT INTO t VALUES (7), (8)`.raw, {
        changes: 2,
        lastInsertRowid: 8
      })
      assert.deepStrictEqual(yield* sql`SELECT 1 AS a, 2 AS a`.values, [[1, 2]])
      assert.deepStrictEqual(plain(yield* sql`INSERT INTO t VALUES (9) RETURNING n`), [{ n: 9 }])
    })
  )

  it.live("streams every row, stops early, and fails typed", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      const numbers = (to: number) =>
        sql<{
          n: number
        }>`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${to}) SELECT n FROM c`
      const all = yield* Stream.runCollect(numbers(1_000).stream)
      assert.strictEqual(all.length, 1_000)
      assert.strictEqual(all.at(-1)?.n, 1_000)
      assert.strictEqual(
        (yield* numbers(1_000_000_000).stream.pipe(Stream.take(3), Stream.runCollect)).length,
        3
      )
      const wrong = yield* Effect.result(Stream.runDrain(sql`SELECT * FROM missing`.stream))
      assert.isTrue(Result.isFailure(wrong) && wrong.failure._tag === "SqlError")
      const midway = yield* Effect.result(
        Stream.runDrain(sql`SELECT json(x) FROM (SELECT '1' AS x UNION ALL SELECT '{')`.stream)
      )
      assert.isTrue(Result.isFailure(midway) && midway.failure._tag === "SqlError")
      assert.strictEqual((yield* numbers(2)).length, 2)
    })
  )

  it.live("types a unique violation", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      yield* sql`CREATE TABLE t (n INTEGER PRIMARY KEY, name TEXT UNIQUE)`
      yield* sql`INSERT INTO t (name) VALUES ('a')`
      const error = yield* Effect.flip(sql`INSERT INTO t (name) VALUES ('a')`)
      assert.strictEqual(error.reason._tag, "UniqueViolation")
    })
  )

  it.live("rolls back on failure and on interruption; a nested failure leaves the outer writes", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      yield* sql`CREATE TABLE t (n INTEGER)`
      const insert = (n: number) => sql`INSERT INTO t VALUES (${n})`
      yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(1), Effect.fail("no"))))
      const written = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        sql.withTransaction(
          insert(2).pipe(Effect.andThen(Deferred.succeed(written, undefined)), Effect.andThen(Effect.never))
        )
      )
      yield* Deferred.await(written)
      yield* Fiber.interrupt(fiber)
      yield* sql.withTransaction(
        insert(3).pipe(
          Effect.andThen(Effect.exit(sql.withTransaction(Effect.andThen(insert(4), Effect.fail("no"))))),
          Effect.andThen(insert(5))
        )
      )
      assert.deepStrictEqual(yield* sql`SELECT n FROM t ORDER BY n`.values, [[3], [5]])
    })
  )

  it.live(
    "takes the write lock at the start of a transaction; the other connection's failure is retryable",
    () =>
      Effect.gen(function* () {
        const filename = yield* tempFile
        const one = yield* client({ filename })
        const other = yield* client({ filename, busyTimeoutMs: 1 })
        yield* one`CREATE TABLE t (n INTEGER)`
        const refused = yield* one.withTransaction(Effect.flip(other.withTransaction(other`SELECT 1`)))
        assert.strictEqual(refused.reason._tag, "LockTimeoutError")
        assert.isTrue(refused.isRetryable)
        yield* other.withTransaction(other`INSERT INTO t VALUES (1)`)
      })
  )

  it.live("a thread moves the log into the file while the writer goes on, and ends with the client", () =>
    Effect.gen(function* () {
      const filename = yield* tempFile
      yield* Effect.gen(function* () {
        const sql = yield* client({ filename })
        yield* sql`CREATE TABLE t (text TEXT)`
        const insert = sql.withTransaction(sql`INSERT INTO t VALUES (${"x".repeat(64 * 1024)})`)
        const other = new DatabaseSync(filename)
        yield* Effect.addFinalizer(() => Effect.sync(() => other.close()))
        const moved = other.prepare("PRAGMA wal_checkpoint(NOOP)")
        // The writer itself would wait for 16,000 pages; these are about 3,500.
        for (let count = 0; count < 200; count++) yield* insert
        while (Number(moved.get()?.["checkpointed"]) < 1_000) yield* Effect.sleep("10 millis")
      }).pipe(Effect.scoped)
      // SQLite removes the log with the last connection.
      assert.isFalse(fs.existsSync(`${filename}-wal`))
    })
  )

  it.effect(
    "a thread that finds no file creates none and starts again after a rest; the log says both once, and the writer goes on",
    () =>
      Effect.gen(function* () {
        const filename = yield* tempFile
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
        const sql = yield* client({ filename }).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, "Debug")
        )
        const logged = (count: number) =>
          TestClock.withLive(
            Effect.gen(function* () {
              while (lines.length < count) yield* Effect.sleep("10 millis")
            })
          )
        yield* sql`CREATE TABLE t (text TEXT)`
        const insert = (times: number) =>
          sql
            .withTransaction(sql`INSERT INTO t VALUES (${"x".repeat(64 * 1024)})`)
            .pipe(TestClock.withLive, Effect.replicateEffect(times, { discard: true }))
        const log = fs.statSync(`${filename}-wal`).ino
        fs.renameSync(filename, `${filename}.moved`)
        yield* insert(64)
        yield* logged(1)
        // No second thread yet: its failure would be the next line.
        yield* insert(128)
        yield* TestClock.adjust("1 minute")
        yield* insert(64)
        yield* logged(2)
        assert.isFalse(fs.existsSync(filename))
        assert.strictEqual(fs.statSync(`${filename}-wal`).ino, log)

        fs.renameSync(`${filename}.moved`, filename)
        yield* TestClock.adjust("1 minute")
        yield* insert(64)
        yield* logged(3)
        const about = (level: string) => new RegExp(`^${level} the thread .* has failed: .*moved or replaced`)
        assert.lengthOf(lines, 3)
        assert.match(lines[0] ?? "", about("Warn"))
        assert.match(lines[1] ?? "", about("Debug"))
        assert.strictEqual(lines[2], "Info the thread that makes SQLite's checkpoints works again")
        assert.deepStrictEqual(plain(yield* sql`SELECT count(*) AS n FROM t`), [{ n: 320 }])
      })
  )

  it.live("a thread that finds another file in the place does not open it, and says what to do", () =>
    Effect.gen(function* () {
      const filename = yield* tempFile
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const sql = yield* client({ filename }).pipe(Effect.provide(Logger.layer([logger])))
      yield* sql`CREATE TABLE t (text TEXT)`
      const insert = sql.withTransaction(sql`INSERT INTO t VALUES (${"x".repeat(64 * 1024)})`)
      fs.renameSync(filename, `${filename}.moved`)
      const other = new DatabaseSync(`${filename}.other`)
      other.exec("CREATE TABLE other (n INTEGER); PRAGMA journal_mode = WAL; INSERT INTO other VALUES (1)")
      other.close()
      fs.renameSync(`${filename}.other`, filename)
      const before = fs.readFileSync(filename)
      for (let count = 0; count < 64; count++) yield* insert
      while (lines.length === 0) yield* Effect.sleep("10 millis")
      assert.isTrue(fs.readFileSync(filename).equals(before))
      // The hub has just created its file. Its time of birth may equal that of the last change, and is unknown then.
      assert.match(lines[0] ?? "", /(is not|has another number than) the file that the hub has open/)
      assert.include(lines[0], "put the hub's file back")
      assert.deepStrictEqual(plain(yield* sql`SELECT count(*) AS n FROM t`), [{ n: 64 }])
    })
  )

  it.live("a thread that finds the file under another number says only what it knows", () =>
    Effect.gen(function* () {
      const filename = yield* tempFile
      const sql = yield* client({ filename })
      yield* sql`CREATE TABLE t (text TEXT)`
      const program = new URL("./fixtures/renumberingThread.ts", import.meta.url)
      const errorOf = (was: Identity, is: Identity) =>
        Effect.promise(async () => {
          const thread = new Worker(program, { workerData: { filename, opened: was, found: is } })
          thread.postMessage("committed")
          const [error] = await once(thread, "error")
          return String(error)
        })
      const moved = yield* errorOf({ number: "1:1", born: 1n }, { number: "1:2", born: 2n })
      assert.include(moved, "moved or replaced meanwhile: put the hub's file back")
      const renumbered = yield* errorOf({ number: "1:1", born: 1n }, { number: "1:2", born: 1n })
      assert.include(renumbered, `${filename} is on a file system that gives files new numbers`)
      assert.notInclude(renumbered, "replaced")
      const unclear = yield* errorOf({ number: "1:1", born: 0n }, { number: "1:2", born: 0n })
      assert.match(unclear, /If it was replaced, put .* If its file system gives files new numbers, use/)
    })
  )

  it("files are told apart by their number, and by their birth if that has changed or is missing", () => {
    const of = (number: string, born: bigint): Identity => ({ number, born })
    assert.strictEqual(fateOf(of("1:1", 1n), of("1:1", 1n)), "same")
    assert.strictEqual(fateOf(of("1:1", 1n), of("1:2", 1n)), "renumbered")
    assert.strictEqual(fateOf(of("1:1", 1n), of("1:2", 2n)), "replaced")
    assert.strictEqual(fateOf(of("1:1", 0n), of("1:2", 0n)), "unclear")
    assert.strictEqual(fateOf(of("1:1", 1n), undefined), "replaced")
    assert.strictEqual(fateOf(of("", 1n), of("", 1n)), "same")
    assert.strictEqual(fateOf(of("1:1", 1n), of("1:2", 0n)), "unclear")
    // Without numbers, a birth alone tells nothing: it may be the time of the last change.
    assert.strictEqual(fateOf(of("", 1n), of("", 2n)), "same")
    assert.strictEqual(fateOf(of("", 0n), of("", 0n)), "same")
  })

  it.live("a file system without numbers or births of files is recognized", () =>
    Effect.gen(function* () {
      const filename = yield* tempFile
      fs.writeFileSync(filename, "")
      assert.match(identityOf(filename)?.number ?? "", /^\d+:\d+$/)
      assert.isUndefined(identityOf(`${filename}.missing`))
      const changed = process.getBuiltinModule("node:fs")
      const { statSync } = changed
      const known = { dev: 1n, ino: 2n, birthtimeNs: 3n, ctimeNs: 4n }
      let given = known
      try {
        changed.statSync = ((...args: Parameters<typeof statSync>) =>
          Object.assign(statSync(...args) ?? {}, given)) as typeof statSync
        syncBuiltinESMExports()
        const knows = { number: "1:2", born: 3n }
        assert.deepStrictEqual(identityOf(filename), knows)
        given = { ...known, ino: 0n }
        assert.deepStrictEqual(identityOf(filename), { ...knows, number: "" })
        given = { ...known, birthtimeNs: 0n }
        assert.deepStrictEqual(identityOf(filename), { ...knows, born: 0n })
        // Node gives the time of the last change instead.
        given = { ...known, birthtimeNs: 4n }
        assert.deepStrictEqual(identityOf(filename), { ...knows, born: 0n })
      } finally {
        changed.statSync = statSync
        syncBuiltinESMExports()
      }
    })
  )

  it.live("a thread that the system does not give fails no transaction that is committed", () =>
    Effect.gen(function* () {
      const filename = yield* tempFile
      const program = path.join(import.meta.dirname, "committing.ts")
      // Without --allow-worker, a new thread is refused while it is made, as it is by a system that has none left.
      const { stdout, stderr } = yield* Effect.promise(() =>
        execute(process.execPath, [
          "--conditions=@agentlip/source",
          "--permission",
          "--allow-fs-read=*",
          "--allow-fs-write=*",
          program,
          filename
        ])
      )
      assert.strictEqual(stdout, "192 committed\n", stderr)
      assert.lengthOf(stderr.match(/checkpoints has failed: .*restricted/g) ?? [], 1, stderr)
    })
  )

  it.live("fails typed when the file cannot be opened", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(client({ filename: path.join(os.tmpdir(), "no", "such", "folder.db") }))
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), "ConnectionError")
    })
  )
})
