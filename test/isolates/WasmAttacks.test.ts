/** Attacks of a plugin on the engine of the wasm level: it hangs, takes memory, or nests without end. */
import { assert, describe, layer } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { layerRuntime } from "../support/isolation.ts"
import { body, failing, run, runFiles, runs } from "../support/wasm.ts"

layer(layerRuntime(), { excludeTestServices: true })("on wasm", ({ effect: live }) => {
  describe("hangs", () => {
    for (const [what, text] of [
      ["a loop", "for (;;) {}"],
      ["a regular expression", "return /^(a+)+$/.test('a'.repeat(40) + 'b')"],
      [
        "a sort, which the engine does not interrupt",
        "const a = []; for (let n = 0; n < 3e6; n++) a.push((n * 7919) % 3000017); a.sort(); return 1"
      ],
      ["a split, which the engine does not interrupt", "return 'ab'.repeat(8e6).split('').length"],
      ["microtasks without end", "const again = () => Promise.resolve().then(again); await again()"],
      ["timers without end", "const again = () => setTimeout(again); again(); await new Promise(() => {})"],
      ["a promise that never settles", "await new Promise(() => {})"],
      ["a loop that catches everything", "for (;;) { try { for (;;) {} } catch {} finally { for (;;) {} } }"],
      ["a thenable", "return { then() { for (;;) {} } }"]
    ] as const) {
      live(`${what} fails with TIMEOUT, and its isolate is gone`, () =>
        Effect.gen(function* () {
          yield* run("return 1")
          const workers = yield* WorkerLayer
          const [elapsed] = yield* Effect.timed(
            failing(run(text, { timeout: 400, limits: { memory: 512 } }), "TIMEOUT")
          )
          assert.isBelow(Duration.toMillis(elapsed), 4_000)
          assert.strictEqual((yield* workers.stats).zombies, 0)
        })
      )
    }

    live("work that continues after the output is stopped, and does not affect the next run", () =>
      Effect.gen(function* () {
        const results = yield* runs(
          body(
            "Promise.resolve().then(() => setTimeout(() => { for (;;) {} }, 1)); queueMicrotask(async () => { for (;;) await 1 }); return 1"
          ),
          3,
          { timeout: 2_000 }
        )
        for (const result of results) assert.strictEqual(yield* Effect.fromResult(result), 1)
      })
    )

    live("a module that never finishes loading fails with TIMEOUT", () =>
      failing(runFiles({ "plugin.mjs": "for (;;) {}" }, { timeout: 400 }), "TIMEOUT")
    )
  })

  live("a plugin that patches a timer's conversion to a number still loads", () =>
    Effect.gen(function* () {
      const output = yield* runFiles({
        "plugin.mjs": `const timer = setTimeout(() => {})
          Object.getPrototypeOf(timer)[Symbol.toPrimitive] = () => { throw new Error("not a number") }
          export default { go: () => "loaded" }`
      })
      assert.strictEqual(output, "loaded")
    })
  )

  live("running a timer does not use an iterator that the plugin has patched", () =>
    Effect.gen(function* () {
      const output = yield* run(
        `let patched = 0
        const { [Symbol.iterator]: iterate } = Array.prototype
        Array.prototype[Symbol.iterator] = function () {
          patched++
          return iterate.call(this)
        }
        return new Promise((resolve) => setTimeout((a, b) => {
          Array.prototype[Symbol.iterator] = iterate
          resolve([patched, a, b])
        }, 1, "a", "b"))`
      )
      assert.deepStrictEqual(output, [0, "a", "b"])
    })
  )

  live("bytes over the limit never cross to the thread, even if they lie about their length", () =>
    Effect.gen(function* () {
      const output = yield* run(
        `const typed = Object.getPrototypeOf(Uint8Array.prototype)
        const { get } = Object.getOwnPropertyDescriptor(typed, "length")
        const bytes = new Uint8Array(17 * 1024 * 1024)
        const decoder = new TextDecoder("latin1")
        const lengths = []
        for (let lie = 1; lie <= 8; lie++) {
          let looks = 0
          Object.defineProperty(typed, "length", { configurable: true, get() { return ++looks === lie ? 0 : get.call(this) } })
          try { lengths.push(decoder.decode(bytes).length) } catch (error) { lengths.push(error.name) }
        }
        return lengths.filter((length) => length > 0)`,
        { timeout: 30_000, limits: { memory: 512 } }
      )
      assert.deepStrictEqual(output, [])
    })
  )

  describe("memory", () => {
    const limits = { memory: 32 }
    for (const [what, text] of [
      ["buffers", "const all = []; for (;;) all.push(new ArrayBuffer(1 << 20))"],
      ["one buffer", "return new ArrayBuffer(2 ** 31 - 1).byteLength"],
      ["arrays", "const all = []; for (;;) all.push(new Array(1000).fill(all.length))"],
      ["strings", "const all = []; for (;;) all.push('x'.repeat(1e6) + all.length)"],
      ["repeat", "return 'x'.repeat(2 ** 29).length"],
      ["maps", "const map = new Map(); for (let n = 0; ; n++) map.set(n, { n })"],
      ["closures that stay", "globalThis.all = []; for (let n = 0; ; n++) all.push(() => n)"],
      ["promises", "const all = []; for (;;) all.push(Promise.resolve().then(() => all))"],
      [
        "a text to encode",
        "const all = []; const text = 'x'.repeat(4e6); for (;;) all.push(new TextEncoder().encode(text))"
      ],
      [
        "a log line",
        "console.log('x'.repeat(6e6), new Array(5e6).fill(1)); const all = []; for (;;) all.push(new ArrayBuffer(1 << 20))"
      ]
    ] as const) {
      live(`over the limit by ${what} fails with WORKER_CRASH, which names the limit`, () =>
        Effect.gen(function* () {
          const error = yield* failing(run(text, { limits, timeout: 15_000 }), "WORKER_CRASH")
          assert.match(error.message, /limit is 32 MiB/)
          assert.strictEqual(yield* run("return 1"), 1)
        })
      )
    }

    live("over the limit while loading fails with WORKER_CRASH too", () =>
      Effect.map(
        failing(
          runFiles(
            { "plugin.mjs": "const all = []; for (;;) all.push(new ArrayBuffer(1 << 20))" },
            { limits }
          ),
          "WORKER_CRASH"
        ),
        (error) => assert.match(error.message, /limit is 32 MiB/)
      )
    )

    live("that one run has used is free for the next", () =>
      Effect.gen(function* () {
        const text =
          "globalThis.all = []; for (let n = 0; n < 20; n++) all.push(new Uint8Array(1 << 20).fill(n)); return all.length"
        for (const result of yield* runs(body(text), 20, { limits })) {
          assert.strictEqual(yield* Effect.fromResult(result), 20)
        }
      })
    )

    live("that loading has used counts once", () =>
      Effect.gen(function* () {
        const files = {
          "plugin.mjs":
            "const all = Array.from({ length: 26 }, (_, n) => new Uint8Array(1 << 20).fill(n)); export default { go: () => all[20].at(-1) }"
        }
        for (const result of yield* runs(files, 10, { limits })) {
          assert.strictEqual(yield* Effect.fromResult(result), 20)
        }
      })
    )

    live("may run out: a plugin that catches the error continues", () =>
      Effect.map(
        run(
          "try { const all = []; for (;;) all.push(new Uint8Array(1e6)) } catch (error) { return error.message }",
          { limits }
        ),
        (output) => assert.strictEqual(output, "out of memory")
      )
    )
  })

  describe("depth", () => {
    for (const [what, text] of [
      ["recursion", "const f = (n) => f(n + 1) + 1; return f(0)"],
      ["recursion through built-ins", "const f = () => [1].map(f); return f()"],
      ["recursion through getters", "const o = { get a() { return this.a } }; return o.a"],
      [
        "recursion through proxies",
        "let p = {}; for (let n = 0; n < 1e5; n++) p = new Proxy(p, {}); return p.a"
      ],
      ["recursion through a sort", "const f = () => [2, 1].sort(f); return f()"],
      ["recursion through toString", "const o = { toString() { return `${o}` } }; return `${o}`"],
      ["recursion through replace", "const f = () => 'a'.replace(/a/, f); return f()"],
      [
        "recursion through the host",
        "const o = { toString() { return String(new URL(o)) } }; return String(new URL(o))"
      ],
      ["JSON that nests", "return JSON.parse('['.repeat(1e6))"],
      ["JSON of objects that nest", "return JSON.parse('{\"a\":'.repeat(1e6))"],
      ["a value that nests", "let a = []; for (let n = 0; n < 1e6; n++) a = [a]; return a"],
      ["a regular expression that nests", "return new RegExp('('.repeat(1e6) + ')'.repeat(1e6))"],
      ["source that nests", "return eval('('.repeat(1e6))"],
      ["source of functions that nest", "return eval('()=>'.repeat(1e5) + '1')"],
      ["a join of what nests", "let a = []; for (let n = 0; n < 1e5; n++) a = [a]; return a.join()"],
      ["a flat of what nests", "let a = []; for (let n = 0; n < 1e5; n++) a = [a]; return a.flat(Infinity)"],
      [
        "a bound function of bound functions",
        "let f = () => 1; for (let n = 0; n < 1e5; n++) f = f.bind(); return f()"
      ],
      [
        "instanceof of bound functions",
        "let f = class {}; for (let n = 0; n < 1e5; n++) f = f.bind(); return {} instanceof f"
      ],
      [
        "prototypes in a row",
        "let o = {}; for (let n = 0; n < 1e5; n++) o = Object.create(o); return o.nothing"
      ],
      [
        "a log of what nests",
        "let a = {}; a.a = a; let b = []; for (let n = 0; n < 1e5; n++) b = [b]; console.log(a, b); structuredClone(b)"
      ],
      [
        "promises in a row",
        "let p = Promise.resolve(1); for (let n = 0; n < 1e5; n++) { const q = p; p = { then: (f) => q.then(f) } } return p"
      ],
      ["an error as its own cause", "const e = new Error('x'); e.cause = e; console.log(e); throw e"]
    ] as const) {
      live(`${what} ends at most the run`, () =>
        Effect.gen(function* () {
          const [result, next] = yield* runs(
            body(`if (message.content_raw !== 'answer') { ${text} } return 1`),
            2,
            { timeout: 10_000 }
          )
          if (result?._tag === "Failure") {
            assert.include(
              ["EXECUTION_ERROR", "INVALID_OUTPUT", "WORKER_CRASH"],
              result.failure._tag,
              result.failure.message
            )
            assert.notInclude(result.failure.message, "engine failed")
          }
          assert.strictEqual(next?._tag, result?._tag)
        })
      )
    }
  })
})
