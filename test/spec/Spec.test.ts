/** What a spec is made of, and what of it is refused before anything runs. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import { LoadError, type PluginError } from "../../src/Errors.ts"
import {
  type BreakerPolicy,
  defaultLimits,
  type InputOf,
  makeSpec,
  type OutputOf,
  type PluginSpec,
  specProblems
} from "../../src/Plugin.ts"
import {
  type Attachment,
  type Enrichment,
  extractor,
  linkifier,
  makeKind,
  type MessageInput
} from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { messageOf } from "../fixtures/library/message.ts"

const base = makeSpec({ name: "p", kind: linkifier, modulePath: "/plugins/p.ts" })
const cyclic: Record<string, unknown> = {}
cyclic["self"] = cyclic
const limit = (change: Partial<typeof defaultLimits>) => ({ limits: { ...defaultLimits, ...change } })
const breaker = (policy: Partial<BreakerPolicy>) => ({ breaker: policy })

const bad: ReadonlyArray<readonly [string, Partial<PluginSpec<typeof linkifier>>, string]> = [
  ["no name", { name: "" }, 'name: expected a text that is not blank, got ""'],
  ["a blank name", { name: " \n" }, 'name: expected a text that is not blank, got " \\n"'],
  ["a config with a cycle", { config: cyclic }, "config: expected an object that JSON can hold"],
  ["a config with a bigint", { config: { n: 1n } }, "config: expected an object that JSON can hold"],
  [
    "a config that throws",
    {
      config: {
        toJSON: () => {
          throw new Error("no")
        }
      }
    },
    "config: expected an object that JSON can hold"
  ],
  ["a timeout of 0", { timeout: Duration.zero }, "timeout: expected a time longer than 0, got"],
  ["an endless timeout", { timeout: Duration.infinity }, "timeout: expected a time longer than 0, got"],
  ["an endless grace", { grace: Duration.infinity }, "grace: expected a time of 0 or more, got"],
  ["a concurrency of 0", { concurrency: 0 }, "concurrency: expected an integer of at least 1, got"],
  ["half a run at once", { concurrency: 0.5 }, "concurrency: expected an integer of at least 1, got"],
  ["endless concurrency", { concurrency: Infinity }, "concurrency: expected an integer of at least 1, got"],
  ["too little memory", limit({ memory: 0 }), "limits.memory: expected an integer of at least 1, got"],
  ["too much memory", limit({ memory: 513 }), "limits.memory: expected at most 512: "],
  [
    "no number of items",
    limit({ outputItems: Number.NaN }),
    "limits.outputItems: expected an integer of at least 1, got"
  ],
  [
    "a negative length",
    limit({ outputLength: -1 }),
    "limits.outputLength: expected an integer of at least 1, got"
  ],
  [
    "a depth of a half",
    limit({ outputDepth: 1.5 }),
    "limits.outputDepth: expected an integer of at least 1, got"
  ],
  ["too deep", limit({ outputDepth: 501 }), "limits.outputDepth: expected at most 500: "],
  ["endless logs", limit({ logLines: Infinity }), "limits.logLines: expected an integer of at least 1, got"],
  ["no log characters", limit({ logLength: 0 }), "limits.logLength: expected an integer of at least 1, got"],
  [
    "a threshold of 0",
    breaker({ failureThreshold: 0 }),
    "breaker.failureThreshold: expected an integer of at least 1, got 0"
  ],
  [
    "an endless cooldown",
    breaker({ cooldown: Duration.infinity }),
    "breaker.cooldown: expected a time longer than 0, got"
  ],
  [
    "a cache with the network",
    { cache: true, grants: { net: ["example.com"], env: ["TOKEN"] } },
    "cache: true contradicts grants.net, grants.env"
  ],
  ["a cache in audit", { cache: true, enforcement: "audit" }, 'cache: true contradicts enforcement "audit"'],
  [
    "no cooldown",
    breaker({ cooldown: Duration.zero }),
    "breaker.cooldown: expected a time longer than 0, got"
  ]
]

describe("Spec: makeSpec", () => {
  it("takes undefined for what is left out", () => {
    const { name, kind, modulePath } = base
    const options = {
      timeout: undefined,
      isolation: undefined,
      integrity: undefined,
      limits: { memory: undefined }
    }
    assert.deepStrictEqual(
      makeSpec({ name, kind, modulePath, ...options, breaker: { cooldown: undefined } }),
      base
    )
  })

  it("fills in what is left out", () => {
    assert.deepStrictEqual(base, {
      name: "p",
      kind: linkifier,
      modulePath: "/plugins/p.ts",
      config: {},
      timeout: Duration.seconds(5),
      grace: Duration.zero,
      isolation: "thread",
      reuse: "plugin",
      concurrency: 1,
      grants: {},
      enforcement: "enforce",
      sandbox: "none",
      cache: false,
      limits: {
        memory: 128,
        outputItems: 1_000,
        outputLength: 1_048_576,
        outputDepth: 64,
        outputValues: 20_000,
        logLines: 200,
        logLength: 65_536,
        messageRate: 100_000,
        fetchBytes: 5_242_880,
        fetchConcurrency: 4,
        queue: 1_000
      },
      breaker: {}
    })
    assert.deepStrictEqual(specProblems(base), [])
  })

  it("keeps what is said", () => {
    const spec = makeSpec({
      name: "q",
      kind: extractor,
      modulePath: "/plugins/q.ts",
      config: { a: 1 },
      timeout: "250 millis",
      grace: 100,
      isolation: "process",
      reuse: "never",
      concurrency: 4,
      grants: { read: ["/data"] },
      limits: { memory: 512, outputItems: 5 },
      breaker: { failureThreshold: 7, cooldown: "1 minute" }
    })
    assert.isTrue(Duration.equals(spec.timeout, Duration.millis(250)))
    assert.isTrue(Duration.equals(spec.grace, Duration.millis(100)))
    assert.deepStrictEqual(spec.limits, { ...defaultLimits, memory: 512, outputItems: 5 })
    assert.deepStrictEqual(spec.breaker, { failureThreshold: 7, cooldown: Duration.minutes(1) })
    assert.deepStrictEqual(
      [spec.config, spec.isolation, spec.reuse, spec.concurrency, spec.grants],
      [{ a: 1 }, "process", "never", 4, { read: ["/data"] }]
    )
    assert.deepStrictEqual(specProblems(spec), [])
  })

  it("takes part of a breaker's policy", () => {
    const { breaker } = makeSpec({ ...base, breaker: { failureThreshold: 1 } })
    assert.deepStrictEqual(breaker, { failureThreshold: 1 })
  })

  it("types input and output by the kind", () => {
    const own = makeSpec({
      name: "own",
      modulePath: "/own.ts",
      kind: makeKind({ name: "own", method: "m", input: Schema.Struct({}), output: Schema.FiniteFromString })
    })
    type Same<A, B> = [A, B] extends [B, A] ? true : false
    const same: [
      Same<OutputOf<typeof base>, ReadonlyArray<Enrichment>>,
      Same<InputOf<typeof base>, MessageInput>,
      Same<OutputOf<PluginSpec<typeof extractor>>, ReadonlyArray<Attachment>>,
      Same<OutputOf<typeof own>, number>
    ] = [true, true, true, true]
    assert.lengthOf(same, 4)
  })
})

describe("Spec: problems", () => {
  const runtime = PluginRuntime.layer.pipe(
    Layer.provideMerge(CircuitBreaker.layer()),
    Layer.provide(WorkerLayer.layerTest({ p: () => Effect.die("must not run") }))
  )
  const assertRefused = (error: PluginError, problem: string): void => {
    assert.instanceOf(error, LoadError)
    assert.strictEqual(error.modulePath, "/plugins/p.ts")
    assert.isTrue(error.reason.startsWith(problem), error.reason)
  }

  it("are all named at once, each with its place", () => {
    const spec = makeSpec({
      ...base,
      timeout: 0,
      limits: { memory: 4096, queue: 0 },
      cache: true,
      grants: { net: ["example.com"] },
      enforcement: "audit"
    })
    assert.deepStrictEqual(
      specProblems(spec).map(({ path }) => path),
      ["timeout", "limits.memory", "limits.queue", "cache", "cache"]
    )
  })

  /** What a caller without types may write. */
  const untyped = (options: Record<string, unknown>) => makeSpec({ ...base, ...options })
  it.each([
    ["an unknown key", { timeuot: 5 }, 'timeuot: is not a known key; did you mean "timeout"?'],
    [
      "an unknown limit",
      { limits: { memroy: 5 } },
      'limits.memroy: is not a known key; did you mean "memory"?'
    ],
    [
      "an unknown key of the breaker",
      { breaker: { coolDown: 5 } },
      'breaker.coolDown: is not a known key; did you mean "cooldown"?'
    ],
    ["an unknown grant", { grants: { nets: [] } }, 'grants.nets: is not a known key; did you mean "net"?'],
    [
      "a key like no other",
      { breaker: { retries: 5 } },
      "breaker.retries: is not a known key; remove it, or use one of failureThreshold, cooldown"
    ],
    ["no time", { timeout: "5 parsecs" }, 'timeout: expected a time longer than 0, got "5 parsecs"'],
    [
      "no cooldown",
      { breaker: { cooldown: "x" } },
      'breaker.cooldown: expected a time longer than 0, got "x"'
    ],
    ["limits that are none", { limits: 5 }, "limits: expected an object, got 5"],
    ["no limits", { limits: null }, "limits: expected an object, got null"],
    ["no breaker", { breaker: null }, "breaker: expected an object, got null"]
  ])("%s is kept for the report, and nothing throws", (_, options, problem) => {
    assert.deepStrictEqual(
      specProblems(untyped(options)).map(({ path, problem }) => `${path}: ${problem}`),
      [problem]
    )
  })

  it.effect.each(bad)(
    "%s: LOAD_ERROR by run and load, never a defect, no failure of the plugin's",
    ([, change, problem]) =>
      Effect.gen(function* () {
        const plugins = yield* PluginRuntime
        const spec = { ...base, ...change }
        const input = { message: messageOf("text") }
        assertRefused(yield* Effect.flip(plugins.run(spec, input)), problem)
        assertRefused(yield* Effect.flip(plugins.load(spec)), problem)
        // A spec that was refused stays refused.
        assertRefused(yield* Effect.flip(plugins.run(spec, input)), problem)
        assert.strictEqual((yield* (yield* CircuitBreaker).states).size, 0)
      }).pipe(Effect.provide(runtime))
  )
})
