/** `agentlip plugin run` and `plugin new`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { commandsOf, start } from "./cli.ts"
import { tempWorkspace } from "./testHub.ts"

const shouts = `export default {
  name: "shouts",
  version: "1.2.3",
  enrich({ message, config }, { log }) {
    log.info("looking for", config.word ?? "anything")
    console.debug("two\\nlines")
    return [...message.content_raw.matchAll(/[A-Z]{3,}/g)].map((match) => ({
      kind: "shout",
      span: { start: match.index, end: match.index + match[0].length },
      data: { text: match[0], by: message.sender }
    }))
  }
}`

/** A folder with plugins, and the commands in it. */
const workspaceWith = Effect.fnUntraced(function* (files: { readonly [name: string]: string }, stdin = "") {
  const folder = yield* tempWorkspace
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text)
  const agentlip = commandsOf(folder, stdin)
  const at = (name: string): string => path.join(folder, name)
  return { at, agentlip, run: (...args: ReadonlyArray<string>) => agentlip("plugin", "run", ...args) }
})

const plugin = (body: string, more = ""): string => `export default { name: "p", version: "1.0.0", ${more}
  async enrich({ message, config }, { log, fetch }) {
    ${body}
  }
}`

/** All but what texts have of themselves. */
const hasNoControls = (text: string): void =>
  assert.notMatch(text.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}]/u)

describe("agentlip plugin run", { timeout: 60_000 }, () => {
  it.live("shows what a linkifier found below the text, what it logged, and how long it took", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({ "shouts.ts": shouts })
      const { code, out, err } = yield* run(at("shouts.ts"), "--text", "日本 SHIP 🚀 it\nor NOT")
      assert.strictEqual(err, "")
      assert.strictEqual(code, 0)
      assert.match(
        out.replaceAll(/[\d.]+ ms/g, "N ms"),
        /^linkifier shouts \(shouts 1\.2\.3\): process, no sandbox, no grants\n/
      )
      assert.include(
        out.replaceAll(/[\d.]+ ms/g, "N ms"),
        [
          "",
          "  日本 SHIP 🚀 it",
          "       ^^^^",
          "  or NOT",
          "     ^^^",
          "",
          '  shout  3-7    "SHIP"  {"text":"SHIP","by":"me"}',
          '  shout  17-20  "NOT"   {"text":"NOT","by":"me"}',
          "",
          "log",
          "  info   looking for anything",
          "  debug  two",
          "         lines",
          "",
          "2 enrichments; loaded in N ms, ran in N ms",
          ""
        ].join("\n")
      )
    })
  )

  it.live("prints one JSON document with --json, of failures too", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({
        "shouts.ts": shouts,
        "throws.ts": plugin("\nthrow new RangeError('too far')")
      })
      const { json, code } = yield* run(
        at("shouts.ts"),
        "--text",
        "a FOO",
        "--json",
        "--config",
        '{"word":"w"}'
      )
      assert.strictEqual(code, 0)
      assert.isTrue(json.ok)
      assert.deepInclude(json.plugin, { name: "shouts", kind: "linkifier", isolation: "process" })
      assert.deepStrictEqual(json.output, [
        { kind: "shout", span: { start: 2, end: 5 }, data: { text: "FOO", by: "me" } }
      ])
      assert.deepStrictEqual(json.logs[0], { level: "info", text: "looking for w" })
      assert.isAbove(json.times.load_ms, 0)
      assert.strictEqual(json.times.runs, 1)

      const failed = yield* run(at("throws.ts"), "--text", "x", "--json")
      assert.strictEqual(failed.code, 1)
      assert.isFalse(failed.json.ok)
      assert.strictEqual(failed.json.error.code, "EXECUTION_ERROR")
      assert.deepInclude(failed.json.error.place, { file: at("throws.ts"), line: 4, column: 7 })
      assert.deepStrictEqual(failed.json.error.error.cause.name, "RangeError")
      assert.strictEqual(JSON.parse(failed.err).code, "EXECUTION_ERROR")
    })
  )

  it.live("takes the text from stdin, or a message from a file", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith(
        {
          "shouts.ts": shouts,
          "message.json": '{"content_raw":"from FILE","sender":"ana","other":1}',
          "list.json": "[]",
          "wrong.json": '{"sender":1}'
        },
        "piped TEXT\n"
      )
      assert.include((yield* run(at("shouts.ts"), "--text", "-")).out, '  6-10  "TEXT"'.trim())
      assert.include(
        (yield* run(at("shouts.ts"), "--message", at("message.json"))).out,
        '{"text":"FILE","by":"ana"}'
      )
      for (const [file, says] of [
        ["list.json", /holds no JSON object/],
        ["wrong.json", /holds no message.*sender/s],
        ["missing.json", /cannot be read/]
      ] as const) {
        const { code, err } = yield* run(at("shouts.ts"), "--message", at(file))
        assert.strictEqual(code, 1)
        assert.match(err, says)
      }
    })
  )

  it.live("tells linkifiers and extractors apart; of a module that is both it is told", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({
        "facts.ts": `export default { name: "facts", version: "1.0.0", extract: () => [
          { kind: "fact", key: "k", value_json: { a: 1 }, dedupe_key: "d" }, { kind: "other", value_json: {} }] }`,
        "both.ts": `export default { name: "both", version: "1.0.0", extract: () => [], enrich: () => [] }`,
        "neither.ts": `export default { name: "neither", version: "1.0.0" }`
      })
      const { code, out } = yield* run(at("facts.ts"), "--text", "x")
      assert.strictEqual(code, 0)
      assert.include(out, "extractor facts (facts 1.0.0)")
      assert.include(
        out,
        '  fact   key "k"  {"a":1}  dedupe_key "d"\n  other           {}\n\n2 attachments; '
      )
      assert.match((yield* run(at("both.ts"), "--text", "x")).err, /LOAD_ERROR: it is of more than one kind/)
      assert.include((yield* run(at("both.ts"), "--text", "x", "--kind", "extractor")).out, "0 attachments")
      const neither = yield* run(at("neither.ts"), "--text", "x")
      assert.match(neither.err, /"enrich" \(linkifier\) or "extract" \(extractor\)/)
      assert.include(neither.out, "not loaded")
    })
  )

  it.live("shows an error with its place in the plugin's file, its own stack and the code there", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({
        "throws.ts":
          "interface Foo { a: 1 }\nconst inner = (): Foo => {\n  throw new TypeError('boom')\n}\n" +
          plugin("return inner()"),
        "once.ts": "const a: undefined = undefined\n\na.b()\n",
        "syntax.ts": "export default {\n  enrich() {\n    const a: = 3\n  }\n}\n",
        "syntax.mjs": "export default {\n  enrich() {\n    const a = = 3\n  }\n}\n",
        "enums.ts": "enum A { B }\n" + plugin("throw new Error(String(A.B))")
      })
      const failure = (file: string) => Effect.map(run(at(file), "--text", "x"), ({ err }) => err)
      assert.include(
        yield* failure("throws.ts"),
        [
          "EXECUTION_ERROR: TypeError: boom",
          `      at inner (${at("throws.ts")}:3:9)`,
          `      at Object.enrich (${at("throws.ts")}:7:12)`,
          "",
          "    1 | interface Foo { a: 1 }",
          "    2 | const inner = (): Foo => {",
          "  > 3 |   throw new TypeError('boom')",
          "      |         ^",
          "    4 | }"
        ].join("\n")
      )
      assert.include(yield* failure("once.ts"), `at the module (${at("once.ts")}:3:3)\n`)
      const frame = "\n  > 3 |     const a: = 3\n      |              ^\n"
      assert.include(yield* failure("syntax.ts"), frame)
      assert.include(yield* failure("syntax.mjs"), "\n  > 3 |     const a = = 3\n      |               ^\n")
      assert.include(
        yield* failure("enums.ts"),
        "\n  > 4 |     throw new Error(String(A.B))\n      |           ^\n"
      )
    })
  )

  it.live.each([
    ["hangs", "for (;;) {}", /TIMEOUT: .* after 2 s/, /--inspect/],
    ["never answers", "await new Promise(() => {})", /TIMEOUT/, /--timeout/],
    ["exits", "process.exit(3)", /EXECUTION_ERROR|WORKER_CRASH/, undefined],
    [
      "rejects aside",
      "Promise.reject(new Error('aside')); await new Promise(() => {})",
      /WORKER_CRASH: .*aside/,
      /await all/
    ],
    ["answers nothing", "", /INVALID_OUTPUT: expected JSON, got nothing/, /return \[\]/],
    [
      "has wrong spans",
      "return [{ kind: 'k', span: { start: 0, end: 9 }, data: {} }]",
      /INVALID_OUTPUT: \[0\]\.span\.end/,
      /UTF-16/
    ],
    [
      "reaches out",
      "await fetch('https://example.com')",
      /EXECUTION_ERROR: .*grants\.net/,
      /^grant it here with --allow-net example\.com$/m
    ]
  ] as const)("says what became of a plugin that %s, and what to do", ([, body, says, hint]) =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({ "p.ts": plugin(body) })
      const { code, out, err } = yield* run(at("p.ts"), "--text", "x", "--timeout", "2 seconds")
      assert.strictEqual(code, 1)
      assert.match(err, says)
      if (hint === undefined) assert.notInclude(err, "Hint")
      else assert.match(err.split("Hint: ")[1] ?? "", hint)
      assert.match(out, /no output; loaded in/)
    })
  )

  it.live.each(["ok", "throw", "crash"])("lets nothing through that a terminal would obey: %s", (text) =>
    Effect.gen(function* () {
      const evil = "\\u001b[31m\\u009b2J\\u202e\\u0007"
      const { at, run } = yield* workspaceWith({
        "p.ts": `export default { name: "${evil}", version: "${evil}", enrich({ message }, { log }) {
          log.warn("${evil}")
          const error = new Error("${evil}")
          error.name = "${evil}"
          error.stack = "${evil}\\n    at ${evil} (file:///${evil}.ts:1:1)"
          if (message.content_raw.startsWith("throw")) throw error
          if (message.content_raw.startsWith("crash")) setTimeout(() => { throw error })
          if (message.content_raw.startsWith("crash")) return new Promise(() => {})
          return [{ kind: "${evil}", span: { start: 0, end: 1 }, data: { "${evil}": "${evil}" } }]
        } }`
      })
      for (const more of [[], ["--json"]]) {
        const { code, out, err } = yield* run(at("p.ts"), "--text", `${text}\u001B[2J\u202E\u009B`, ...more)
        assert.strictEqual(code, text === "ok" ? 0 : 1)
        assert.include(out + err, "[31m")
        hasNoControls(out + err)
      }
    })
  )

  it.live("gives the config, the grants and the level that it is told, and reports in audit mode", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({
        "p.ts": `import * as fs from "node:fs"\n${plugin("log.info(JSON.stringify(config), fs.readFileSync(config.file, 'utf8')); return []")}`,
        "config.json": "",
        "secret.txt": "read it"
      })
      fs.writeFileSync(at("config.json"), JSON.stringify({ file: at("secret.txt") }))
      const config = ["--text", "x", "--config", `@${at("config.json")}`]
      const refused = yield* run(at("p.ts"), ...config)
      assert.match(refused.err, /EXECUTION_ERROR/)
      assert.include(refused.err, `Hint: grant it here with --allow-read ${at("secret.txt")}\n`)
      const granted = yield* run(
        at("p.ts"),
        ...config,
        "--allow-read",
        at("secret.txt"),
        "--isolation",
        "thread"
      )
      assert.include(granted.out, `thread, grants: read ${at("secret.txt")}`)
      assert.match(granted.out, /secret\.txt"\} read it/)
      const audited = yield* run(at("p.ts"), ...config, "--enforcement", "audit", "--isolation", "thread")
      assert.strictEqual(audited.code, 0)
      assert.match(audited.out, /config file: grants: \{ read: \[".*secret\.txt"\] \}/)
      for (const wrong of ["[]", "{", "@missing.json"])
        assert.strictEqual((yield* run(at("p.ts"), "--text", "x", "--config", wrong)).code, 1)
      const soon = yield* run(at("p.ts"), "--text", "x", "--timeout", "soon")
      assert.include(
        soon.err,
        '--timeout: expected a time longer than 0: milliseconds or a text such as "2 seconds"'
      )
      assert.include(soon.err, 'got "soon"')
      const help = yield* run("--help")
      assert.include(help.out, "Wall clock, for loading and for each run")
    })
  )

  it.live("runs on every level, and as often as it is told", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({ "shouts.ts": shouts })
      for (const level of ["thread", "process", "wasm"]) {
        const { out } = yield* run(at("shouts.ts"), "--text", "a FOO", "--isolation", level, "--repeat", "5")
        assert.match(out, /5 runs in [\d.]+ to [\d.]+ ms, median/)
        // The log of one run.
        assert.strictEqual(out.split("looking for").length, 2)
      }
    })
  )

  it.live("takes a plugin with all that the config file says of it", () =>
    Effect.gen(function* () {
      const { run } = yield* workspaceWith({
        "shouts.ts": shouts,
        "agentlip.config.ts": `export default { linkifiers: [
          { name: "loud", modulePath: "./shouts.ts", isolation: "thread", config: { word: "from config" } },
          { name: "off", modulePath: "./shouts.ts", enabled: false }] }`
      })
      const { out } = yield* run("--plugin", "loud", "--text", "x")
      assert.include(out, "linkifier loud (shouts 1.2.3): thread")
      assert.include(out, "looking for from config")
      assert.match((yield* run("--plugin", "off", "--text", "x")).err, /enabled: false/)
      assert.match((yield* run("--plugin", "who", "--text", "x")).err, /has no plugin "who"; it has "loud"/)
    })
  )

  it.live("says what is missing or too much", () =>
    Effect.gen(function* () {
      const { at, run } = yield* workspaceWith({ "shouts.ts": shouts })
      for (const [args, says] of [
        [["--text", "x"], /FILE or --plugin/],
        [[at("shouts.ts"), "--plugin", "p", "--text", "x"], /not both/],
        [[at("shouts.ts")], /--text TEXT or --message/],
        [[at("shouts.ts"), "--text", "x", "--message", "y"], /not both/],
        [[at("shouts.ts"), "--text", "x", "--repeat", "0"], /--repeat/],
        [[at("shouts.ts"), "--text", "x", "--timeout", "soon"], /--timeout/],
        [[at("shouts.ts"), "--text", "x", "--inspect", "--isolation", "wasm"], /leave --isolation out/],
        [["--plugin", "p", "--text", "x"], /no agentlip\.config\.ts/],
        [[at("nothing.ts"), "--text", "x"], /LOAD_ERROR: there is no such file/]
      ] as const) {
        const { code, err } = yield* run(...args)
        assert.strictEqual(code, 1)
        assert.match(err, says)
      }
    })
  )

  it.live("ends as a process too, whatever the plugin does", () =>
    Effect.gen(function* () {
      const { at } = yield* workspaceWith({ "p.ts": plugin("log.info('begun'); for (;;) {}") })
      const child = yield* start(["plugin", "run", at("p.ts"), "--text", "-", "--timeout", "2000"], "piped")
      const { code, out, err } = yield* child.ended
      assert.strictEqual(code, 1)
      assert.include(out, "begun")
      assert.match(err, /^agentlip: TIMEOUT/)
    })
  )
})

describe("agentlip plugin new", { timeout: 60_000 }, () => {
  it.live.each([
    ["linkifier", "see OPS-42", /ticket {2}4-10/],
    ["extractor", "DECIDED: we ship", /"text":"we ship"/]
  ] as const)("writes a %s that runs at once", ([kind, text, found]) =>
    Effect.gen(function* () {
      const { at, agentlip, run } = yield* workspaceWith({})
      const { json, code } = yield* agentlip("plugin", "new", "my-own", "--kind", kind, "--json")
      assert.strictEqual(code, 0)
      assert.strictEqual(json.file, at("plugins/my-own.ts"))
      assert.deepStrictEqual(json.entry, { name: "my-own", modulePath: "./plugins/my-own.ts" })
      const ran = yield* run(json.file, "--text", text)
      assert.strictEqual(ran.code, 0)
      assert.match(ran.out, found)
      const before = fs.readFileSync(json.file, "utf8")
      const again = yield* agentlip("plugin", "new", "my-own")
      assert.strictEqual(again.code, 1)
      assert.match(again.err, /is there already/)
      assert.strictEqual(fs.readFileSync(json.file, "utf8"), before)
    })
  )

  it.live("takes names that are names of files anywhere", () =>
    Effect.gen(function* () {
      const { agentlip } = yield* workspaceWith({})
      for (const name of ["../x", "a/b", "Upper", "-", "a--b", "", "1a", "a".repeat(65)])
        assert.notStrictEqual((yield* agentlip("plugin", "new", "--", name)).code, 0, name)
    })
  )
})
