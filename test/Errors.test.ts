/** The six errors: what they say, that they cross a wire whole, and that handlers can be typed by their codes. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import {
  CircuitOpen,
  ExecutionError,
  InvalidOutput,
  LoadError,
  PluginError,
  type PluginErrorCode,
  PluginErrorJson,
  PluginTimeout,
  StaleOutput,
  UnsupportedRuntime,
  WorkerCrash
} from "../src/Errors.ts"
import { ConfigError } from "../src/ConfigError.ts"

const classes = {
  TIMEOUT: PluginTimeout,
  WORKER_CRASH: WorkerCrash,
  INVALID_OUTPUT: InvalidOutput,
  CIRCUIT_OPEN: CircuitOpen,
  LOAD_ERROR: LoadError,
  EXECUTION_ERROR: ExecutionError
} satisfies Record<PluginErrorCode, unknown>

const overTheWire = (error: PluginError) =>
  Schema.encodeEffect(PluginErrorJson)(error).pipe(
    Effect.map((encoded): unknown => JSON.parse(JSON.stringify(encoded))),
    Effect.flatMap(Schema.decodeUnknownEffect(PluginErrorJson))
  )

/** Durations travel as milliseconds (1,500,000 ns are 1.5 ms), and JSON knows one zero only. */
const fieldsOf = (error: PluginError): object =>
  Object.fromEntries(
    Object.entries(error).map(([key, value]) => {
      const field: unknown = Duration.isDuration(value) ? Duration.toMillis(value) : value
      return [key, field === 0 ? 0 : field]
    })
  )

const assertSame = (back: PluginError, error: PluginError): void => {
  assert.strictEqual(back.constructor, classes[error._tag])
  assert.deepStrictEqual(fieldsOf(back), fieldsOf(error))
  assert.strictEqual(back.message, error.message)
}

describe("Errors: JSON and back", () => {
  it.effect.prop(
    "any of the union comes back as it went",
    { error: PluginError },
    ({ error }) => Effect.map(overTheWire(error), (back) => assertSame(back, error)),
    { arbitrary: { runs: 500 } }
  )

  const awkward: ReadonlyArray<PluginError> = [
    new PluginTimeout({ plugin: "", timeout: Duration.zero, phase: "load" }),
    new PluginTimeout({ plugin: 'a"b', timeout: Duration.nanos(1_500_000n), phase: "run" }),
    new PluginTimeout({ plugin: "p", timeout: Duration.infinity, phase: "run" }),
    new WorkerCrash({ plugin: "\ud800 \u0000 \u2028", reason: "" }),
    new WorkerCrash({ plugin: "p", reason: "x", exitCode: -1 }),
    new InvalidOutput({ plugin: "__proto__", issue: "😀".repeat(1_000) }),
    new CircuitOpen({ plugin: "p", failures: Number.MAX_SAFE_INTEGER, retryAfter: Duration.days(1_000) }),
    new LoadError({ plugin: "p", modulePath: "C:\\plugins\\ü.ts", reason: "line\nbreak" }),
    new LoadError({
      plugin: "p",
      modulePath: "/plugins/a.ts",
      reason: "no such file",
      importer: "/plugins/b.ts",
      place: { file: "/plugins/b.ts", line: 3, column: 15, frame: '> 3 | import "./c"\n    |        ^' }
    }),
    new LoadError({
      plugin: "p",
      modulePath: "/plugins/a.ts",
      reason: "not granted",
      missingGrants: { read: ["./my data"], net: ["a.example"] }
    }),
    new PluginTimeout({
      plugin: "p",
      timeout: Duration.seconds(1),
      phase: "load",
      waitingFor: "top-level await"
    }),
    new ExecutionError({ plugin: "p", cause: { name: "", message: "" } }),
    new ExecutionError({ plugin: "p", cause: { name: "E", message: "m", stack: "at x" } }),
    new ExecutionError({
      plugin: "p",
      cause: { name: "E", message: "m" },
      missingGrants: { write: ['/my "data"'] }
    })
  ]
  it.effect.each(awkward)("comes back: %s", (error) =>
    Effect.map(overTheWire(error), (back) => assertSame(back, error))
  )

  it.effect("a text of none of these forms is refused", () =>
    Effect.gen(function* () {
      for (const json of [null, {}, { _tag: "TIMEOUT" }, { _tag: "OTHER", plugin: "p" }]) {
        const exit = yield* Effect.exit(Schema.decodeUnknownEffect(PluginErrorJson)(json))
        assert.strictEqual(exit._tag, "Failure", JSON.stringify(json))
      }
    })
  )
})

describe("Errors: messages", () => {
  const plugin = "urls"
  const texts: ReadonlyArray<readonly [Error, string]> = [
    [
      new PluginTimeout({ plugin, timeout: Duration.seconds(5), phase: "run" }),
      'Plugin "urls" did not answer after 5 s and was terminated. If the work is legitimate, raise its "timeout".'
    ],
    [
      new PluginTimeout({ plugin, timeout: Duration.millis(250), phase: "load" }),
      'Plugin "urls" was still loading after 250 ms and was terminated. If the work is legitimate, raise its "timeout".'
    ],
    [
      new WorkerCrash({ plugin, reason: "it ran out of memory", exitCode: 134 }),
      'Plugin "urls" took its isolate down: it ran out of memory (exit code 134).'
    ],
    [new WorkerCrash({ plugin, reason: "it left" }), 'Plugin "urls" took its isolate down: it left.'],
    [
      new InvalidOutput({ plugin, issue: "[0].kind: expected string, got 5" }),
      'Plugin "urls" returned an invalid output: [0].kind: expected string, got 5'
    ],
    [
      new CircuitOpen({ plugin, failures: 3, retryAfter: Duration.seconds(60) }),
      'Plugin "urls" is paused after 3 failures in a row; next try in 60 s.'
    ],
    [
      new CircuitOpen({ plugin, failures: 0, retryAfter: Duration.millis(900) }),
      'Plugin "urls" is paused; next try in 900 ms.'
    ],
    [
      new LoadError({ plugin, modulePath: "/srv/urls.ts", reason: "there is no such file" }),
      'Plugin "urls" could not be loaded from /srv/urls.ts: there is no such file'
    ],
    [
      new LoadError({
        plugin,
        modulePath: "/srv/urls.ts",
        reason: "Cannot find ./c",
        importer: "/srv/b.ts",
        place: { file: "/srv/b.ts", line: 3, column: 15, frame: "" }
      }),
      'Plugin "urls" could not be loaded from /srv/urls.ts: Cannot find ./c (at /srv/b.ts:3:15)'
    ],
    [
      new LoadError({ plugin, modulePath: "/srv/urls.ts", reason: "no", importer: "/srv/b.ts" }),
      'Plugin "urls" could not be loaded from /srv/urls.ts: no (imported by /srv/b.ts)'
    ],
    [
      new PluginTimeout({
        plugin,
        timeout: Duration.seconds(5),
        phase: "load",
        waitingFor: "top-level await"
      }),
      'Plugin "urls" was still loading after 5 s and was terminated. It was waiting at a top-level "await" that had not settled: move that work into the method. If the work is legitimate, raise its "timeout".'
    ],
    [
      new ExecutionError({ plugin, cause: { name: "TypeError", message: "x is not a function" } }),
      'Plugin "urls" threw TypeError: x is not a function'
    ],
    [
      new StaleOutput({ messageId: "m1", reason: "CONTENT_CHANGED" }),
      "The output for message m1 was discarded: its content has changed since."
    ],
    [
      new StaleOutput({ messageId: "m1", reason: "DELETED" }),
      "The output for message m1 was discarded: it was deleted since."
    ],
    [
      new StaleOutput({ messageId: "m1", reason: "MISSING" }),
      "The output for message m1 was discarded: it does not exist."
    ],
    [
      new ConfigError({ file: "agentlip.config.ts", problems: [{ path: "", problem: "is no object" }] }),
      "agentlip.config.ts has a problem:\n  (file): is no object"
    ],
    [
      new ConfigError({
        file: "agentlip.config.ts",
        problems: [
          { path: "linkifiers[0].name", problem: "is blank" },
          { path: "extractors", problem: "is no list" }
        ]
      }),
      "agentlip.config.ts has 2 problems:\n  linkifiers[0].name: is blank\n  extractors: is no list"
    ],
    [
      new UnsupportedRuntime({ runtime: "Bun 1.4.5", level: "thread", reason: "threads confine nothing" }),
      "No plugin can run here (Bun 1.4.5): threads confine nothing."
    ]
  ]
  it.each(texts)("%#: %s", (error, text) => {
    assert.strictEqual(error.message, text)
  })
})

describe("Errors: handlers", () => {
  const failing = (error: PluginError): Effect.Effect<never, PluginError> => Effect.fail(error)

  it.effect("catchTags by code takes the handled ones out of the type", () =>
    Effect.gen(function* () {
      const handled: Effect.Effect<string | number, LoadError | ExecutionError> = failing(
        new CircuitOpen({ plugin: "p", failures: 3, retryAfter: Duration.seconds(7) })
      ).pipe(
        Effect.catchTags({
          TIMEOUT: ({ phase }) => Effect.succeed<string>(phase),
          CIRCUIT_OPEN: ({ retryAfter }) => Effect.succeed(Duration.toSeconds(retryAfter)),
          WORKER_CRASH: ({ reason }) => Effect.succeed(reason),
          INVALID_OUTPUT: ({ issue }) => Effect.succeed(issue)
        })
      )
      assert.strictEqual(yield* handled, 7)
    })
  )

  it.effect("a handler for every code leaves no error", () =>
    Effect.gen(function* () {
      const code = (error: { readonly _tag: PluginErrorCode }) => Effect.succeed(error._tag)
      const total: (error: PluginError) => Effect.Effect<PluginErrorCode> = (error) =>
        failing(error).pipe(
          Effect.catchTags({
            TIMEOUT: code,
            WORKER_CRASH: code,
            INVALID_OUTPUT: code,
            CIRCUIT_OPEN: code,
            LOAD_ERROR: code,
            EXECUTION_ERROR: code
          })
        )
      assert.strictEqual(yield* total(new WorkerCrash({ plugin: "p", reason: "r" })), "WORKER_CRASH")
      // @ts-expect-error -- a code that does not exist is a mistake the compiler finds
      Effect.catchTags(failing(new InvalidOutput({ plugin: "p", issue: "i" })), { TIMED_OUT: code })
    })
  )
})
