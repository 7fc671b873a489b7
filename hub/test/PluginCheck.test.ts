/** `agentlip plugin check`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { commandsOf } from "./cli.ts"
import { tempWorkspace } from "./testHub.ts"

const workspaceWith = Effect.fnUntraced(function* (files: { readonly [name: string]: string }) {
  const folder = yield* tempWorkspace
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text)
  const agentlip = commandsOf(folder)
  const at = (name: string): string => path.join(folder, name)
  return { at, check: (...args: ReadonlyArray<string>) => agentlip("plugin", "check", ...args) }
})

const fine = "export default { name: 'fine', version: '1.2.3', enrich: () => [] }"
const fact = "export default { name: 'fact', version: '2.0.0', extract: () => [] }"
const syntax = "export default {\n  enrich() {\n    const a: = 3\n  }\n}\n"
const needs = "export default { enrich: () => [], capabilities: { net: ['api.example.com'] } }"
const needsOdd = "export default { enrich: () => [], capabilities: { read: ['my words, old; new'] } }"
const wants = `export default { enrich: () => [], configSchema: { "~standard": { version: 1, vendor: "x",
  validate: (value) => value.word ? { value } : { issues: [{ message: "expected a word", path: ["word"] }] } } } }`

describe("agentlip plugin check", { timeout: 60_000 }, () => {
  it.live("says of every file whether it loads, and where it does not", () =>
    Effect.gen(function* () {
      const { at, check } = yield* workspaceWith({ "fine.ts": fine, "fact.ts": fact, "syntax.ts": syntax })
      const good = yield* check(at("fine.ts"), at("fact.ts"))
      assert.strictEqual(good.code, 0)
      assert.deepStrictEqual(good.out.split("\n"), [
        `${at("fine.ts")} - ok linkifier fine (fine 1.2.3): process, no sandbox, no grants`,
        `${at("fact.ts")} - ok extractor fact (fact 2.0.0): process, no sandbox, no grants`,
        "2 plugins checked, 0 problems",
        ""
      ])
      const { code, out, err } = yield* check(at("fine.ts"), at("syntax.ts"))
      assert.strictEqual(code, 1)
      assert.include(out, `${at("syntax.ts")}:3:14 - error LOAD_ERROR: SyntaxError: Unexpected token`)
      assert.include(out, "\n> 3 |     const a: = 3\n    |              ^\n  4 |   }\n")
      assert.strictEqual(err, "agentlip: 2 plugins checked, 1 problem\n")
    })
  )

  it.live("names the file of the mistake, where that is one that a plugin imports", () =>
    Effect.gen(function* () {
      const { at, check } = yield* workspaceWith({
        "syntax.ts": syntax,
        "imports.ts": `import "./syntax.ts"\n${fine}`
      })
      const { json } = yield* check(at("imports.ts"), "--json")
      assert.isFalse(json.ok)
      assert.strictEqual(json.problems[0].file, at("imports.ts"))
      assert.deepInclude(json.problems[0].place, { file: at("syntax.ts"), line: 3, column: 14 })
    })
  )

  it.live("holds configs against schemas, and needs against grants", () =>
    Effect.gen(function* () {
      const { at, check } = yield* workspaceWith({ "needs.ts": needs, "odd.ts": needsOdd, "wants.ts": wants })
      const refused = yield* check(at("needs.ts"), at("odd.ts"), at("wants.ts"))
      assert.strictEqual(refused.code, 1)
      assert.match(refused.out, /needs\.ts - error LOAD_ERROR: .*net api\.example\.com/)
      assert.include(refused.out, "Hint: grant it here with --allow-net api.example.com\n")
      assert.include(refused.out, "Hint: grant it here with --allow-read 'my words, old; new'\n")
      assert.match(refused.out, /wants\.ts - error LOAD_ERROR: .*config\.word: expected a word/)
      const told = yield* check(
        at("needs.ts"),
        at("wants.ts"),
        "--config",
        '{"word":"w"}',
        "--allow-net",
        "api.example.com"
      )
      assert.strictEqual(told.code, 0)
      assert.include(told.out, "grants: net api.example.com")
      const unheld = yield* check(
        at("needs.ts"),
        "--isolation",
        "wasm",
        "--allow-read",
        at("."),
        "--allow-net",
        "api.example.com"
      )
      assert.match(unheld.out, /error LOAD_ERROR: grants\.read cannot be enforced on isolation "wasm"/)
    })
  )

  it.live("checks what the config file names, as it says; and a file of it by that too", () =>
    Effect.gen(function* () {
      const { at, check } = yield* workspaceWith({
        "fine.ts": fine,
        "fact.ts": fact,
        "wants.ts": wants,
        "agentlip.config.ts": `export default { linkifiers: [
          { name: "good", modulePath: "./fine.ts", isolation: "thread" },
          { name: "wrong", modulePath: "./fact.ts" },
          { name: "told", modulePath: "./wants.ts", config: { word: "w" } },
          { name: "off", modulePath: "./missing.ts", enabled: false }] }`
      })
      const all = yield* check()
      assert.strictEqual(all.code, 1)
      assert.include(all.out, "- ok linkifier good (fine 1.2.3): thread")
      assert.match(all.out, /fact\.ts - error LOAD_ERROR: "wrong": .*no method "enrich"/)
      assert.match(all.err, /3 plugins checked, 1 problem/)
      const one = yield* check(at("wants.ts"))
      assert.strictEqual(one.code, 0)
      assert.include(one.out, "- ok linkifier told")
    })
  )

  it.live("reports a config file that cannot be used, and the want of one", () =>
    Effect.gen(function* () {
      const broken = yield* workspaceWith({
        "fine.ts": fine,
        "agentlip.config.ts": 'export default { linkifiers: [{ name: "x", modulePat: "./fine.ts" }] }'
      })
      const { code, out, err } = yield* broken.check(broken.at("fine.ts"))
      assert.strictEqual(code, 1)
      assert.match(out, /agentlip\.config\.ts - error CONFIG_ERROR: linkifiers\[0\]\.modulePat: /)
      assert.include(out, "fine.ts - ok")
      assert.match(err, /1 plugin checked, 2 problems/)
      const none = yield* workspaceWith({})
      assert.match((yield* none.check()).err, /no agentlip\.config\.ts; name the FILEs/)
    })
  )

  it.live("ends with plugins that hang or die as they load", () =>
    Effect.gen(function* () {
      const { at, check } = yield* workspaceWith({
        "hangs.ts": "for (;;) {}",
        "exits.ts": "console.log('\\u001b[2J'); process.exit(1)",
        "evil.ts": "throw new Error('\\u001b[2J\\u009b\\u202e')"
      })
      const { code, out } = yield* check(
        at("hangs.ts"),
        at("exits.ts"),
        at("evil.ts"),
        "--timeout",
        "1 second"
      )
      assert.strictEqual(code, 1)
      assert.match(out, /hangs\.ts - error TIMEOUT: /)
      assert.match(out, /exits\.ts - error /)
      assert.match(out, /evil\.ts:1:7 - error LOAD_ERROR: /)
      assert.notMatch(out.replaceAll("\n", ""), /[\p{Cc}\p{Cf}]/u)
    })
  )
})
