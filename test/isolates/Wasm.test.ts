/** The wasm level only. What every level guarantees is in contract.ts, attacks are in WasmAttacks.test.ts. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import { layerRuntime } from "../support/isolation.ts"
import { body, failing, type Options, run, runFiles, runs } from "../support/wasm.ts"

layer(layerRuntime(), { excludeTestServices: true })("on wasm", ({ effect: live }) => {
  const value = (text: string, expected: unknown, options: Options = {}) =>
    live(text.length > 90 ? `${text.slice(0, 90)}…` : text, () =>
      Effect.map(run(text, options), (output) => assert.deepStrictEqual(output, expected))
    )

  describe("globals", () => {
    value(
      "const u = new URL('../b?x=1&y=a+b#h', 'https://ü.example:8080/a/c'); u.searchParams.append('z', 'ä&'); u.pathname = '/p q'; return [u.href, u.host, u.origin, [...u.searchParams], JSON.stringify({ u })]",
      [
        "https://xn--tda.example:8080/p%20q?x=1&y=a+b&z=%C3%A4%26#h",
        "xn--tda.example:8080",
        "https://xn--tda.example:8080",
        [
          ["x", "1"],
          ["y", "a b"],
          ["z", "ä&"]
        ],
        '{"u":"https://xn--tda.example:8080/p%20q?x=1&y=a+b&z=%C3%A4%26#h"}'
      ]
    )
    value(
      "try { new URL('nope') } catch (e) { return [e.name, e.code, URL.canParse('nope'), URL.parse('x:')?.href] }",
      ["TypeError", "ERR_INVALID_URL", false, "x:"]
    )
    value(
      "const u = new URL('http://a/?a=1'); u.search = '?b=2'; const p = u.searchParams; u.search = '?c=3'; p.delete('c'); u.href = 'http://b/?d=4'; return [p.get('d'), u.search, `${new URLSearchParams({ a: '1 2' })}`, `${new URLSearchParams([['k', '\u0000\ud800']])}`]",
      ["4", "?d=4", "a=1+2", "k=%00%EF%BF%BD"]
    )
    value(
      "return [...new TextEncoder().encode('aä\u0000🙂\ud800')]",
      [97, 195, 164, 0, 240, 159, 153, 130, 239, 191, 189]
    )
    value(
      "const d = new TextDecoder(); return [d.decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 1, 0xff])), new TextDecoder('latin1').encoding, new TextDecoder('utf-16le').decode(new Uint16Array([0x61, 0xd83d, 0xde42]))]",
      ["a\u0001\ufffd", "windows-1252", "a🙂"]
    )
    value(
      "const d = new TextDecoder('utf-8', { fatal: true }); try { d.decode(new Uint8Array([0xff])) } catch (e) { return e.name }",
      "TypeError"
    )
    value(
      "const d = new TextDecoder(); const b = new TextEncoder().encode('x🙂y'); return [...b].map((n) => d.decode(new Uint8Array([n]), { stream: true })).join('') + d.decode()",
      "x🙂y"
    )
    // Byte by byte, with half a surrogate pair at the end.
    const inBytes = (encoding: string, bytes: ReadonlyArray<number>) =>
      value(
        `const d = new TextDecoder("${encoding}"); return ${JSON.stringify(bytes)}.map((n) => d.decode(new Uint8Array([n]), { stream: true })).join("") + d.decode()`,
        new TextDecoder(encoding).decode(new Uint8Array(bytes))
      )
    const units = [0xfeff, 0x78, 0xd83d, 0xde42, 0xd83d, 0x79, 0xde42, 0xd83d]
    inBytes(
      "utf-16le",
      units.flatMap((unit) => [unit & 0xff, unit >> 8])
    )
    inBytes(
      "utf-16be",
      units.flatMap((unit) => [unit >> 8, unit & 0xff])
    )
    inBytes("utf-16le", [0x78, 0, 0x3d])
    inBytes("shift_jis", [0x93, 0xfa, 0x96, 0x7b, 0x61])
    inBytes("gb18030", [0xc4, 0xe3, 0x81, 0x30, 0x81, 0x30, 0x61])
    value("return new TextEncoder().encodeInto('a🙂', new Uint8Array(3))", { read: 1, written: 1 })
    value(
      "return [btoa('\u0001\u00ff~'), atob('Af9+'), atob(' aGk = '), (() => { try { btoa('€') } catch (e) { return e.name } })()]",
      ["Af9+", "\u0001\u00ff~", "hi", "InvalidCharacterError"]
    )
    value(
      "const all = Array.from({ length: 70_000 }, (_, at) => String.fromCharCode(at % 256)).join(''); return atob(btoa(all)) === all",
      true
    )
    value(
      "const o = { d: new Date(0), m: new Map([[1, new Set([2])]]), b: new Uint8Array([1, 2]).subarray(1), n: null, u: undefined, e: new TypeError('x'), a: [1, , 3] }; o.self = o; const c = structuredClone(o); return [c !== o, c.self === c, c.d.getTime(), c.m.get(1).has(2), [...c.b], c.e instanceof TypeError, c.a.length, (() => { try { structuredClone(() => 1) } catch (e) { return e.name } })()]",
      [true, true, 0, true, [2], true, 3, "DataCloneError"]
    )
    value(
      "const seen = []; const t = new EventTarget(); const f = (e) => seen.push(e.type); t.addEventListener('a', f); t.addEventListener('a', f); t.addEventListener('a', { handleEvent: () => seen.push('o') }, { once: true }); t.dispatchEvent(new Event('a')); t.dispatchEvent(new CustomEvent('a')); t.removeEventListener('a', f); t.dispatchEvent(new Event('a')); return seen",
      ["a", "o", "a"]
    )
    value(
      "const c = new AbortController(); const any = AbortSignal.any([c.signal, AbortSignal.timeout(10_000)]); const told = []; any.addEventListener('abort', () => told.push(any.reason.name)); c.abort(); const t = AbortSignal.timeout(10); await new Promise((r) => t.addEventListener('abort', r)); return [told, t.reason.name, AbortSignal.abort(3).reason, (() => { try { any.throwIfAborted() } catch (e) { return e.name } })()]",
      [["AbortError"], "TimeoutError", 3, "AbortError"]
    )
    value(
      "const order = []; const late = new Promise((r) => setTimeout(() => r(order.push('late')), 400)); setTimeout((a) => order.push(a), 200, 'soon'); clearTimeout(setTimeout(() => order.push('never'), 1)); setImmediate(() => order.push('now')); queueMicrotask(() => order.push('micro')); process.nextTick(() => order.push('tick')); await new Promise((r) => { let n = 0; const i = setInterval(() => { if (++n === 3) r(clearInterval(i)) }, 2) }); await late; return order",
      ["micro", "tick", "now", "soon", "late"]
    )
    value(
      "const a = performance.now(); await new Promise((r) => setTimeout(r, 30)); const took = performance.now() - a; return took >= 29 && took < 2_000",
      true
    )
    value(
      "const { length } = new Set(Array.from({ length: 50 }, () => crypto.randomUUID())); const v = crypto.getRandomValues(new Uint8Array(64)); return [/^[0-9a-f-]{36}$/.test(crypto.randomUUID()), v.some((n) => n > 0), (() => { try { crypto.getRandomValues(new Uint8Array(70_000)) } catch (e) { return e.name } })()]",
      [true, true, "QuotaExceededError"]
    )
    value(
      "return [new Float32Array(1), new Float64Array(1), new DataView(new ArrayBuffer(8)), [1], undefined, new BigInt64Array(1), new Uint8ClampedArray(1)].map((array) => { try { return crypto.getRandomValues(array) === array } catch (e) { return e.name } })",
      [
        "TypeMismatchError",
        "TypeMismatchError",
        "TypeMismatchError",
        "TypeMismatchError",
        "TypeMismatchError",
        true,
        true
      ]
    )
    value(
      "return [typeof Buffer, typeof require, typeof WebAssembly, typeof Intl, typeof Atomics, process.env.HOME ?? null, typeof process.binding, process.versions.node ?? null, Object.getOwnPropertyNames(globalThis).filter((name) => name.includes('agentlip'))]",
      ["undefined", "undefined", "undefined", "undefined", "undefined", null, "undefined", null, []]
    )
    value(
      "return [await new Response('a').text(), new Headers({ a: 'b' }).get('A'), new Request('http://a', { method: 'POST', body: 'x' }).method]",
      ["a", "b", "POST"]
    )

    live("env has only the granted variables", () =>
      Effect.gen(function* () {
        process.env["WASM_TEST_GRANTED"] = "given"
        process.env["WASM_TEST_OTHER"] = "kept"
        const output = yield* run("return { ...process.env }", { grants: { env: ["WASM_TEST_GRANTED"] } })
        assert.deepStrictEqual(output, { WASM_TEST_GRANTED: "given" })
      })
    )

    for (const name of ["Buffer", "Intl", "WebAssembly", "require", "ReadableStream"]) {
      live(`an error about ${name}, which does not exist, names a level that has it`, () =>
        Effect.gen(function* () {
          const thrown = yield* failing(run(`return ${name}.of(1)`), "EXECUTION_ERROR")
          const atLoad = yield* failing(
            runFiles({ "plugin.mjs": `${name}.of(1); export default { go() {} }` }),
            "LOAD_ERROR"
          )
          for (const { message } of [thrown, atLoad]) {
            assert.include(
              message,
              `${name} is not defined (isolation "wasm" does not have it; isolation "process"`
            )
          }
        })
      )
    }

    live("a plugin's own ReferenceError is unchanged", () =>
      Effect.map(failing(run("return nothing"), "EXECUTION_ERROR"), ({ message }) =>
        assert.match(message, /nothing is not defined$/)
      )
    )
  })

  describe("modules", () => {
    const answering = (expression: string) => `export default { go: async () => ${expression} }`

    for (const [what, files, expected] of [
      [
        "a path that is imported during a run",
        {
          "plugin.mjs": answering("(await import('./lib/a.mjs')).a"),
          "lib/a.mjs": "import b from './b.mjs'; export const a = b + 1",
          "lib/b.mjs": "export default 1"
        },
        2
      ],
      [
        "top-level await",
        {
          "plugin.mjs": `import { a } from "./a.mjs"; const b = await Promise.resolve(a + 1); ${answering("b")}`,
          "a.mjs": "export const a = await new Promise((r) => setTimeout(() => r(1), 5))"
        },
        2
      ],
      [
        "cycles",
        {
          "plugin.mjs": `import { a } from "./a.mjs"; export const one = () => 1; ${answering("a()")}`,
          "a.mjs": "import { one } from './plugin.mjs'; export const a = () => one() + 1"
        },
        2
      ],
      [
        "JSON",
        {
          "plugin.mjs": `import data from "./d.json" with { type: "json" }; ${answering("[data.a, Object.keys(data)]")}`,
          "d.json": '{"__proto__":1,"a":"\\u2028"}'
        },
        ["\u2028", ["__proto__", "a"]]
      ],
      [
        "import.meta",
        {
          "plugin.mjs": `#!/usr/bin/env node\n${answering("[import.meta.url.endsWith('/plugin.mjs'), import.meta.filename.endsWith('/plugin.mjs'), import.meta.dirname.includes('wasm-')]")}`
        },
        [true, true, true]
      ],
      [
        "CommonJS with names, cycles, JSON and this",
        {
          "plugin.mjs": `import cjs, { a, late } from "cjs"; import * as all from "cjs"; ${answering("[a, late(), cjs.json.b, Object.keys(all).sort(), cjs.that, cjs.file]")}`,
          "node_modules/cjs/package.json": '{"main":"main.js"}',
          "node_modules/cjs/main.js":
            "exports.a = 1; exports.late = () => require('./other').b; exports.json = require('./data'); exports.that = this === exports; exports.file = __filename.endsWith('/cjs/main.js') && __dirname.endsWith('/cjs')",
          "node_modules/cjs/other.js": "const main = require('.'); module.exports = { b: main.a + 1 }",
          "node_modules/cjs/data.json": '{"b":3}'
        },
        [1, 2, 3, ["a", "default", "file", "json", "late", "that"], true, true]
      ],
      [
        "CommonJS that is a function",
        {
          "plugin.mjs": `import f from "./f.cjs"; ${answering("f()")}`,
          "f.cjs": "module.exports = () => 5; module.exports.named = 1"
        },
        5
      ],
      [
        "CommonJS as the entry",
        {
          "plugin.mjs": "import './entry.cjs'; export { default } from './entry.cjs'",
          "entry.cjs": "module.exports = { go: () => 6 }"
        },
        6
      ],
      [
        "a module with two importers, once",
        {
          "plugin.mjs": `import { n } from "./a.mjs"; import { m } from "./b.mjs"; ${answering("[n, m]")}`,
          "a.mjs": "export { n } from './c.mjs'",
          "b.mjs": "export { n as m } from './c.mjs'",
          "c.mjs": "globalThis.n = (globalThis.n ?? 0) + 1; export const n = globalThis.n"
        },
        [1, 1]
      ]
    ] as const) {
      live(what, () =>
        Effect.map(runFiles(files), (output) =>
          assert.deepStrictEqual(JSON.stringify(output), JSON.stringify(expected))
        )
      )
    }

    for (const [what, files, says] of [
      [
        "a built-in",
        { "plugin.mjs": "import 'node:fs'" },
        /"node:fs" does not exist on isolation "wasm"; isolation "process"/
      ],
      [
        "a built-in of a dependency",
        { "plugin.mjs": "import './a.cjs'", "a.cjs": "require('os')" },
        /"os" does not exist on isolation "wasm"/
      ],
      [
        "a WebAssembly module",
        { "plugin.mjs": "import './a.wasm'", "a.wasm": "\0asm" },
        /no WebAssembly on isolation "wasm"/
      ],
      [
        "a required ES module",
        { "plugin.mjs": "import './a.cjs'", "a.cjs": "require('./b.mjs')", "b.mjs": "" },
        /b\.mjs.*ES module/
      ],
      [
        "an error that CommonJS throws",
        { "plugin.mjs": "import './a.cjs'", "a.cjs": "throw new RangeError('in a')" },
        /RangeError: in a/
      ],
      [
        "a name that is not exported",
        { "plugin.mjs": "import { b } from './a.mjs'", "a.mjs": "export const a = 1" },
        /SyntaxError.*'?b'?/
      ],
      [
        "a syntax error in a dependency",
        { "plugin.mjs": "import './a.mjs'", "a.mjs": "const a = 1\nconst 1" },
        /SyntaxError.*a\.mjs:2/
      ],
      ["the guest's own modules", { "plugin.mjs": "import 'agentlip:realm'" }, /agentlip:realm/],
      [
        "the guest's own modules, from CommonJS",
        { "plugin.mjs": "import './a.cjs'", "a.cjs": "require('agentlip:realm')" },
        /agentlip:realm/
      ],
      ["a file outside", { "plugin.mjs": "import '../../etc/passwd.mjs'" }, /outside/],
      [
        "invalid JSON",
        { "plugin.mjs": "import './a.json' with { type: 'json' }", "a.json": "{" },
        /SyntaxError/
      ]
    ] as const) {
      live(`${what} fails with LOAD_ERROR`, () =>
        Effect.map(failing(runFiles(files), "LOAD_ERROR"), ({ message }) => assert.match(message, says))
      )
    }

    live("stacks name the author's files and lines", () =>
      Effect.map(
        failing(
          runFiles({
            "plugin.mjs": "import f from './lib.cjs'\nexport default { go: () => f() }",
            "lib.cjs": "\n\nmodule.exports = () => { throw new TypeError('deep') }"
          }),
          "EXECUTION_ERROR"
        ),
        (error) => {
          const stack = error._tag === "EXECUTION_ERROR" ? (error.cause.stack ?? "") : ""
          assert.match(stack, /lib\.cjs:3/)
          assert.match(stack, /plugin\.mjs:2/)
        }
      )
    )
  })

  describe("a run", () => {
    live("sees no changes of the run before", () =>
      Effect.gen(function* () {
        const text = `
          const found = [globalThis.left ?? null, Array.prototype.left ?? null, counter.n, cache.size, typeof Date.now.left, JSON.stringify(message) === undefined]
          globalThis.left = 1; Array.prototype.left = 1; counter.n++; cache.set("x", 1); Date.now.left = 1
          JSON.stringify = () => undefined
          Math.max = () => { throw new Error("patched") }
          setInterval(() => { globalThis.left = 2 }, 1)
          return found`
        const files = {
          "plugin.mjs": `const counter = { n: 0 }; const cache = new Map(); globalThis.mine = 1; export default { go({ message }) { ${text} } }`
        }
        const results = yield* runs(files, 5)
        for (const result of results) {
          assert.deepStrictEqual(yield* Effect.fromResult(result), [null, null, 0, 0, "undefined", false])
        }
      })
    )

    live("has other random numbers than the run before, and a clock that continues", () =>
      Effect.gen(function* () {
        const files = {
          "plugin.mjs":
            "const { random } = Math; export default { go: () => [random(), crypto.randomUUID(), performance.now(), Date.now()] }"
        }
        const seen = []
        for (const result of yield* runs(files, 4)) {
          const output = yield* Effect.fromResult(result)
          if (Array.isArray(output)) seen.push(output)
        }
        assert.strictEqual(new Set(seen.map(([random]) => random)).size, 4)
        assert.strictEqual(new Set(seen.map(([, uuid]) => uuid)).size, 4)
        for (const at of [2, 3])
          assert.deepStrictEqual(
            seen.map((row) => row[at]),
            seen.map((row) => row[at]).sort((a, b) => a - b)
          )
      })
    )

    live("has all that loading made, timers too", () =>
      Effect.gen(function* () {
        const files = {
          "plugin.mjs":
            "let ticks = 0; setInterval(() => ticks++, 5); export default { async go() { const before = ticks; await new Promise((r) => setTimeout(r, 40)); return [before, ticks > 0] } }"
        }
        for (const result of yield* runs(files, 3))
          assert.deepStrictEqual(yield* Effect.fromResult(result), [0, true])
      })
    )

    live("may throw or reject after its output without effect", () =>
      Effect.gen(function* () {
        const text =
          "setTimeout(() => { throw new Error('late') }); Promise.reject(new Error('late')); return 1"
        for (const result of yield* runs(body(text), 3))
          assert.strictEqual(yield* Effect.fromResult(result), 1)
      })
    )

    live("gets the abort signal at its deadline, even while timers keep it busy", () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          lines.push(String(message))
        })
        yield* failing(
          run(
            "signal.addEventListener('abort', () => console.log('told to stop')); const again = () => setImmediate(again); again(); await new Promise(() => {})",
            { timeout: 300, grace: 300 }
          ),
          "TIMEOUT"
        ).pipe(Effect.provide(Logger.layer([logger])))
        assert.include(lines, "told to stop")
      })
    )

    live("whose timer throws fails with WORKER_CRASH", () =>
      Effect.map(
        failing(
          run("setTimeout(() => { throw new Error('in a timer') }); await new Promise(() => {})"),
          "WORKER_CRASH"
        ),
        ({ message }) => assert.match(message, /uncaught Error: in a timer/)
      )
    )

    live("succeeds after runs that leave objects and timers", () =>
      Effect.gen(function* () {
        const text =
          "globalThis.all = Array.from({ length: 1e5 }, (_, n) => ({ n })); for (let n = 0; n < 1e3; n++) setTimeout(() => {}, 1e6); return 1"
        for (const result of yield* runs(body(text), 20))
          assert.strictEqual(yield* Effect.fromResult(result), 1)
      })
    )

    for (const [what, text] of [
      [
        "an array's methods",
        "for (const name of Object.getOwnPropertyNames(Array.prototype)) if (typeof Array.prototype[name] === 'function') Array.prototype[name] = () => 'forged'"
      ],
      ["the function behind template literals", "String.prototype.concat = () => 'forged'"],
      [
        "a string's methods",
        "for (const name of Object.getOwnPropertyNames(String.prototype)) if (typeof String.prototype[name] === 'function') String.prototype[name] = () => 'forged'"
      ],
      [
        "JSON, Reflect and Object",
        "JSON.stringify = JSON.parse = () => '[]'; for (const name of Object.keys(Object.getOwnPropertyDescriptors(Reflect))) Reflect[name] = () => 'forged'; Object.keys = Object.defineProperty = () => 'forged'"
      ],
      [
        "functions",
        "Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => 'forged'"
      ],
      ["promises", "Promise.prototype.then = function () { return this }; globalThis.Promise = class {}"],
      ["toJSON", "String.prototype.toJSON = Number.prototype.toJSON = () => 'forged'"],
      [
        "setters of Object.prototype",
        "for (const name of ['0', '1', 'error', 'value', 'next', 'text']) Object.defineProperty(Object.prototype, name, { set() { throw 'forged' }, get() { return undefined }, configurable: true })"
      ],
      [
        "all globals",
        "for (const name of Object.getOwnPropertyNames(globalThis)) { try { globalThis[name] = undefined } catch {} }"
      ]
    ] as const) {
      live(`that patches ${what} forges no output, and does not affect the next run`, () =>
        Effect.gen(function* () {
          const results = yield* runs(
            body(`${text}; return message.content_raw`),
            3,
            { timeout: 500 },
            "asked"
          )
          for (const result of results) {
            if (result._tag === "Success")
              assert.isTrue(
                result.success === "asked" || JSON.stringify(result.success) === '"forged"',
                JSON.stringify(result.success)
              )
            else
              assert.include(
                ["EXECUTION_ERROR", "INVALID_OUTPUT", "WORKER_CRASH", "TIMEOUT"],
                result.failure._tag
              )
          }
        })
      )
    }
  })

  describe("texts", () => {
    live("of 64 KiB in and of a megabyte out are unchanged", () =>
      Effect.gen(function* () {
        const text = `\u0001日本🙂\ufffd"\\\u2028`.repeat(8_000)
        assert.strictEqual(yield* run("return message.content_raw", {}, text), text)
        const output = yield* run("return 'x'.repeat(1_048_574)")
        assert.strictEqual(String(output).length, 1_048_574)
        yield* failing(run("return 'x'.repeat(1_048_575)"), "INVALID_OUTPUT")
      })
    )

    for (const [what, text, expected] of [
      [
        "objects",
        "console.log('a', { b: [1, 'two', null], c: { d: { e: { f: 1 } } }, g() {}, [Symbol('s')]: 1n })",
        "a {⏎  b: [ 1, 'two', null ],⏎  c: { d: { e: [Object] } },⏎  g: [Function: g],⏎  [Symbol(s)]: 1n⏎}"
      ],
      [
        "collections",
        "console.log(new Map([[1, { a: 1 }]]), new Set(['x']), new Uint8Array(2), [], {}, new (class Foo { a = 1 })())",
        "Map(1) { 1 => { a: 1 } } Set(1) { 'x' } Uint8Array(2) [ 0, 0 ] [] {} Foo { a: 1 }"
      ],
      [
        "directives",
        "console.log('%s is %d%% of %i, %j', 'a', 1.5, 2.7, { b: 1 }, 'rest')",
        'a is 1.5% of 2, {"b":1} rest'
      ],
      ["a cycle", "const a = { n: 1 }; a.a = a; console.log(a)", "{ n: 1, a: [Circular] }"],
      ["errors", "console.log(new TypeError('x').message, `${new Error('y')}`)", "x Error: y"]
    ] as const) {
      live(`a log shows ${what} as Node does`, () =>
        Effect.gen(function* () {
          const lines: Array<string> = []
          const logger = Logger.make<unknown, void>(({ message }) => {
            lines.push(Array.isArray(message) ? message.join(" ") : String(message))
          })
          yield* run(`${text}; return 1`).pipe(
            Effect.provide(Logger.layer([logger])),
            Effect.provideService(References.MinimumLogLevel, "All")
          )
          assert.include(lines, expected)
        })
      )
    }

    live("the log of a run is limited in lines and in length", () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          lines.push(Array.isArray(message) ? message.join(" ") : String(message))
        })
        yield* run(
          "for (let n = 0; n < 1e5; n++) console.log(n); process.stdout.write('x'.repeat(1e7)); return 1",
          { limits: { logLines: 20 } }
        ).pipe(Effect.provide(Logger.layer([logger])))
        assert.isBelow(lines.length, 30)
        assert.match(lines.join("\n"), /99981 more log lines were dropped/)
      })
    )
  })
})
