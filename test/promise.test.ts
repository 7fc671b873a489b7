/** The face for hubs without Effect, on real threads: as the integration guide has it. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import type { Attachment, Enrichment } from "../src/PluginKinds.ts"
import {
  circuitBreaker,
  close,
  createPluginHost,
  type PluginHost,
  type PluginHostOptions,
  runPlugin,
  type RunPluginOptions
} from "../src/promise.ts"
import { Settings } from "../src/spec/settings.ts"
import { messageOf } from "./fixtures/library/message.ts"

const urlOf = (plugin: string): URL => new URL(`./fixtures/library/plugins/${plugin}.ts`, import.meta.url)
const options = (plugin: string, change: Partial<RunPluginOptions> = {}): RunPluginOptions => ({
  type: "linkifier",
  modulePath: fileURLToPath(urlOf(plugin)),
  input: { message: messageOf("hello, world") },
  ...change
})
const hello = { kind: "word", span: { start: 0, end: 5 }, data: { word: "hello" } }
const world = { kind: "word", span: { start: 7, end: 12 }, data: { word: "world" } }

const withHost = async (use: (host: PluginHost) => Promise<void>, options?: PluginHostOptions) => {
  const host = createPluginHost({ spares: 1, ...options })
  try {
    await use(host)
  } finally {
    await host.close()
  }
}

/** What a JavaScript hub could hand in, whatever the types say. */
const untyped = (change: Record<string, unknown>): RunPluginOptions => ({ ...options("words"), ...change })

describe("runPlugin", () => {
  afterAll(close)

  it("ok: true and the data of a linkifier", async () => {
    const result = await runPlugin<Enrichment[]>({
      type: "linkifier",
      modulePath: fileURLToPath(urlOf("words")),
      input: { message: messageOf("hello, world"), config: {} },
      timeoutMs: 5_000,
      pluginName: "words"
    })
    assert.deepStrictEqual(result, { ok: true, data: [hello, world] })
    if (result.ok) assert.strictEqual(result.data[0]?.span.end, 5)
  })

  it("ok: true and the data of an extractor", async () => {
    const result = await runPlugin<Attachment[]>({ ...options("words"), type: "extractor" })
    assert.deepStrictEqual(result, {
      ok: true,
      data: [{ kind: "length", key: "length", value_json: { length: 12 } }]
    })
  })

  it("config comes with the input, timeoutMs and pluginName are optional", async () => {
    const input = { message: messageOf("hello, world"), config: { only: "world" } }
    assert.deepStrictEqual(await runPlugin(options("words", { input })), { ok: true, data: [world] })
  })

  it("takes a file: URL", async () => {
    const result = await runPlugin(options("words", { modulePath: urlOf("words").href }))
    assert.deepStrictEqual(result, { ok: true, data: [hello, world] })
  })

  it("takes a path from the working directory", async () => {
    const result = await runPlugin(
      options("words", { modulePath: "./test/fixtures/library/plugins/words.ts" })
    )
    assert.isTrue(result.ok)
  })

  const failures: ReadonlyArray<readonly [string, string, Partial<RunPluginOptions>, RegExp]> = [
    ["throws", "EXECUTION_ERROR", {}, /^Plugin "throws" threw TypeError: no such thing$/],
    ["lies", "INVALID_OUTPUT", {}, /^Plugin "lies" returned an invalid output: \[0\]\.kind: expected/],
    ["leaves", "WORKER_CRASH", {}, /^Plugin "leaves" took its isolate down: uncaught Error: late/],
    ["spins", "TIMEOUT", { timeoutMs: 1_000 }, /^Plugin "spins" did not answer after 1 s/],
    ["sleeps", "TIMEOUT", { timeoutMs: 1_000 }, /^Plugin "sleeps" did not answer after 1 s/],
    ["missing", "LOAD_ERROR", {}, /^Plugin "missing" could not be loaded from .*no such file/],
    ["spins", "LOAD_ERROR", { type: "extractor", pluginName: "x" }, /^Plugin "x" .* has no method "extract"/]
  ]
  it.each(failures)("%s: %s", async (plugin, code, change, text) => {
    const result = await runPlugin(options(plugin, change))
    if (result.ok) return assert.fail("it ran")
    assert.deepStrictEqual(Object.keys(result).sort(), ["cause", "code", "error", "ok"])
    assert.strictEqual(result.code, code)
    assert.strictEqual(result.cause._tag, code)
    assert.match(result.error, text)
  })

  it("has the typed error as the cause of a failure, with the plugin's own stack", async () => {
    const result = await runPlugin(options("throws"))
    if (result.ok || result.cause._tag !== "EXECUTION_ERROR") return assert.fail("it did not throw")
    const { name, stack } = result.cause.cause
    assert.strictEqual(name, "TypeError")
    assert.match(stack ?? "", /plugins\/throws\.ts:\d+:\d+/)
  })

  it("takes every setting of a spec", async () => {
    const settings = Object.keys(Settings.fields).filter((name) => name !== "config")
    assert.isAbove(settings.length, 8)
    const called: Record<string, string> = { timeout: "timeoutMs", grace: "graceMs" }
    for (const setting of settings) {
      const option = called[setting] ?? setting
      // A value that is wrong for each of them: what is refused was taken.
      const result = await runPlugin(untyped({ [option]: ["wrong"], pluginName: `takes ${option}` }))
      if (result.ok) return assert.fail(`${option} is ignored`)
      assert.strictEqual(result.code, "LOAD_ERROR")
      assert.include(result.error, option)
      assert.notInclude(result.error, `${option}: is not a known key`)
    }
  })

  it("refuses options that it does not know", async () => {
    const result = await runPlugin(
      untyped({
        timeout: 5,
        retries: 1,
        breaker: { cooldown: 5 },
        limits: { memroy: 1 },
        grants: { file: [] }
      })
    )
    if (result.ok) return assert.fail("it ran")
    for (const problem of [
      'timeout: is not a known key; did you mean "timeoutMs"?',
      "retries: is not a known key; remove it, or use one of type, modulePath, input, pluginName, timeoutMs, ",
      'breaker.cooldown: is not a known key; did you mean "cooldownMs"?',
      'limits.memroy: is not a known key; did you mean "memory"?',
      "grants.file: is not a known key; remove it, or use one of read, write, net, env"
    ])
      assert.include(result.error, problem)
  })

  const refused: ReadonlyArray<readonly [string, RunPluginOptions, string, RegExp]> = [
    [
      "a type that does not exist",
      untyped({ type: "mood" }),
      "LOAD_ERROR",
      /must be "linkifier" or "extractor"/
    ],
    ["a type that objects have", untyped({ type: "toString" }), "LOAD_ERROR", /not "toString"/],
    ["a module path that is none", untyped({ modulePath: 5 }), "LOAD_ERROR", /from 5:/],
    ["a URL of another host", untyped({ modulePath: "file://elsewhere/p.ts" }), "LOAD_ERROR", /host/],
    [
      "a config that is no JSON",
      untyped({ input: { message: messageOf(""), config: { n: 1n } } }),
      "LOAD_ERROR",
      /BigInt/
    ],
    [
      "a timeout of 0",
      options("words", { timeoutMs: 0 }),
      "LOAD_ERROR",
      /timeoutMs: expected a time longer than 0, got 0/
    ],
    [
      "a timeout that is no number",
      options("words", { timeoutMs: Number.NaN }),
      "LOAD_ERROR",
      /timeoutMs: expected a time/
    ],
    [
      "a grace that is a text",
      untyped({ graceMs: "1" }),
      "LOAD_ERROR",
      /graceMs: expected a number of milliseconds, got "1"/
    ],
    [
      "several settings at once",
      options("words", {
        graceMs: -1,
        concurrency: 0,
        limits: { memory: 4096 },
        cache: true,
        grants: { env: ["HOME"] },
        breaker: { failureThreshold: 0, cooldownMs: 0 }
      }),
      "LOAD_ERROR",
      /graceMs: .*concurrency: .*limits\.memory: expected at most 512.*breaker\.failureThreshold: .*breaker\.cooldownMs: .*cache: true contradicts grants\.env/
    ],
    ["a grant of the network", options("words", { grants: { net: ["*"] } }), "LOAD_ERROR", /grants\.net/],
    [
      "a message without content",
      untyped({ input: { message: {} } }),
      "EXECUTION_ERROR",
      /was not run: the input is not a linkifier's: /
    ],
    ["no input", untyped({ input: undefined }), "EXECUTION_ERROR", /was not run: /]
  ]
  it.each(refused)("does not reject for %s", async (_, given, code, text) => {
    const result = await runPlugin({ ...given, pluginName: `refused: ${_}` })
    if (result.ok) return assert.fail("it ran")
    assert.strictEqual(result.code, code)
    assert.match(result.error, text)
  })

  it("does not reject for options that are none at all", async () => {
    const throwing = {
      get modulePath(): string {
        throw new Error("a getter")
      }
    }
    // What a JavaScript hub could hand in, whatever the types say.
    for (const none of [{}, undefined, null, 5, throwing]) {
      const result = await runPlugin(none as unknown as RunPluginOptions)
      if (result.ok) return assert.fail("it ran")
      assert.strictEqual(result.code, "LOAD_ERROR")
    }
  })

  it("speaks of timeoutMs, as the option is called", async () => {
    const result = await runPlugin(options("sleeps", { timeoutMs: 200 }))
    assert.include(result.ok ? "" : result.error, 'raise its "timeoutMs"')
  })

  it("modules of the same name never share a circuit", async () => {
    const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "promise-")))
    const at = (name: string, enrich: string): string => {
      const file = path.join(folder, name, "plugin.ts")
      fs.mkdirSync(path.dirname(file))
      fs.writeFileSync(file, `export default { name: "p", version: "1.0.0", enrich: ${enrich} }`)
      return file
    }
    const broken = at("a", "() => { throw new Error('broken') }")
    const fine = at("b", "() => []")
    try {
      await withHost(async (host) => {
        for (let run = 0; run < 4; run++) {
          const failed = await host.runPlugin({ ...options("words"), modulePath: broken })
          assert.strictEqual(failed.ok ? "" : failed.code, run < 3 ? "EXECUTION_ERROR" : "CIRCUIT_OPEN")
        }
        assert.deepStrictEqual(await host.runPlugin({ ...options("words"), modulePath: fine }), {
          ok: true,
          data: []
        })
        assert.strictEqual((await host.circuitBreaker.state("plugin"))._tag, "Open")
        assert.strictEqual((await host.circuitBreaker.state("b/plugin"))._tag, "Closed")
      })
    } finally {
      fs.rmSync(folder, { recursive: true })
    }
  })

  it("a result's type is that of the plugin's type", async () => {
    const linked = await runPlugin({ ...options("words"), type: "linkifier" })
    const starts: ReadonlyArray<number> = linked.ok ? linked.data.map(({ span }) => span.start) : []
    assert.deepStrictEqual(starts, [0, 7])
    // @ts-expect-error -- an extractor returns no enrichments
    const wrong = await runPlugin<Enrichment[]>({ ...options("words"), type: "extractor" })
    assert.isTrue(wrong.ok)
  })

  it("keeps a plugin's isolate warm for the same options, a fresh one each for reuse: never", async () => {
    const calls = async (change: Partial<RunPluginOptions>) => {
      const result = await runPlugin({ ...options("calls", change), type: "linkifier" })
      return result.ok ? result.data[0]?.data["calls"] : result.error
    }
    assert.deepStrictEqual([await calls({}), await calls({}), await calls({})], [1, 2, 3])
    assert.deepStrictEqual([await calls({ reuse: "never" }), await calls({ reuse: "never" })], [1, 1])
  })

  it("many at once, and a failing one beside them", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => runPlugin(options(n === 7 ? "lies" : "words")))
    )
    assert.deepStrictEqual(
      results.flatMap((result, n) => (result.ok ? [] : [n])),
      [7]
    )
  })
})

describe("circuitBreaker", () => {
  afterAll(close)

  it("opens after three failures in a row, and can be seen, reset and tripped", async () => {
    const codeOf = async (): Promise<string> => {
      const result = await runPlugin(options("throws", { pluginName: "broken" }))
      return result.ok ? "ok" : result.code
    }
    assert.deepStrictEqual(await circuitBreaker.state("broken"), { _tag: "Closed", failures: 0 })
    const codes = [await codeOf(), await codeOf(), await codeOf(), await codeOf()]
    assert.deepStrictEqual(codes, ["EXECUTION_ERROR", "EXECUTION_ERROR", "EXECUTION_ERROR", "CIRCUIT_OPEN"])
    const state = await circuitBreaker.state("broken")
    assert.strictEqual(state._tag, "Open")
    assert.strictEqual(state.failures, 3)
    await circuitBreaker.reset("broken")
    assert.deepStrictEqual(await circuitBreaker.state("broken"), { _tag: "Closed", failures: 0 })
    assert.strictEqual(await codeOf(), "EXECUTION_ERROR")
    await circuitBreaker.trip("broken")
    assert.strictEqual(await codeOf(), "CIRCUIT_OPEN")
  })

  it("follows the policy that a plugin's own options say", async () => {
    const breaker = { failureThreshold: 1, cooldownMs: 60_000 }
    const codes: Array<string> = []
    for (let n = 0; n < 2; n++) {
      const result = await runPlugin(options("throws", { pluginName: "touchy", breaker }))
      codes.push(result.ok ? "ok" : result.code)
    }
    assert.deepStrictEqual(codes, ["EXECUTION_ERROR", "CIRCUIT_OPEN"])
  })

  it("a success in between sets the count to 0", async () => {
    for (const plugin of ["throws", "throws", "words", "throws", "throws"]) {
      await runPlugin(options(plugin, { pluginName: "shaky" }))
    }
    assert.deepStrictEqual(await circuitBreaker.state("shaky"), { _tag: "Closed", failures: 2 })
  })

  it("follows the host's policy", () =>
    withHost(
      async (host) => {
        const codes: Array<string> = []
        for (let n = 0; n < 2; n++) {
          const result = await host.runPlugin(options("throws"))
          codes.push(result.ok ? "ok" : result.code)
        }
        assert.deepStrictEqual(codes, ["EXECUTION_ERROR", "CIRCUIT_OPEN"])
        await new Promise((resolve) => setTimeout(resolve, 60))
        const probe = await host.runPlugin(options("throws"))
        assert.strictEqual(probe.ok ? "ok" : probe.code, "EXECUTION_ERROR")
      },
      { failureThreshold: 1, cooldownMs: 50 }
    ))
})

describe("close", () => {
  it("ends the isolates; a later call begins anew, breakers included", async () => {
    await circuitBreaker.trip("words")
    await close()
    assert.deepStrictEqual(await runPlugin(options("words")), { ok: true, data: [hello, world] })
    await close()
    await close()
  })

  it("of a host: runs in flight and later ones reject", async () => {
    const host = createPluginHost({ spares: 0 })
    const inFlight = host.runPlugin(options("sleeps")).then(
      () => "answered",
      () => "rejected"
    )
    // Once another has run, the first has begun.
    assert.isTrue((await host.runPlugin(options("words"))).ok)
    await host.close()
    assert.strictEqual(await inFlight, "rejected")
    const later = await host.runPlugin(options("words")).then(
      () => "answered",
      () => "rejected"
    )
    assert.strictEqual(later, "rejected")
  })
})

describe("createPluginHost", () => {
  it("makes hosts that share neither breakers nor isolates", () =>
    withHost((one) =>
      withHost(async (other) => {
        await one.circuitBreaker.trip("calls")
        const refused = await one.runPlugin(options("calls"))
        assert.strictEqual(refused.ok ? "ok" : refused.code, "CIRCUIT_OPEN")
        const first = await other.runPlugin({ ...options("calls"), type: "linkifier" })
        assert.strictEqual(first.ok && first.data[0]?.data["calls"], 1)
        await one.circuitBreaker.reset("calls")
        const own = await one.runPlugin({ ...options("calls"), type: "linkifier" })
        assert.strictEqual(own.ok && own.data[0]?.data["calls"], 1)
      })
    ))

  it("closing one leaves the other running", () =>
    withHost(async (one) => {
      await withHost(async (other) => assert.isTrue((await other.runPlugin(options("words"))).ok))
      assert.isTrue((await one.runPlugin(options("words"))).ok)
    }))

  it("rejects for a policy that cannot be followed: the hub's mistake, not a plugin's", () =>
    withHost(
      async (host) => {
        const reason = await host.runPlugin(options("words")).then(() => "answered", String)
        assert.include(
          reason,
          "A circuit breaker's failureThreshold: expected an integer of at least 1, got -1."
        )
      },
      { failureThreshold: -1 }
    ))
})
