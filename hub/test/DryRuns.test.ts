/** Trying a plugin on a text: what comes back, what is refused, and that the hub's own plugin notices nothing. */
import { type ConfiguredSpec, linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { eventually, type Json, startHub, tempWorkspace, type TestHub } from "./testHub.ts"

const linkifierSource = `export default {
  name: "notes", version: "3.0.0",
  enrich({ message: { content_raw }, config }, { log }) {
    log.debug("looking with " + config.token)
    if (content_raw === "boom") throw new Error("it broke")
    if (content_raw === "hang") for (;;);
    if (content_raw === "die") process.exit(3)
    if (content_raw === "lie") return [{ kind: "note", span: { start: 5, end: 99 }, data: {} }]
    return [{ kind: "note", span: { start: 0, end: 4 }, data: { at: 1 } }]
  }
}
`

const extractorSource = `export default {
  name: "facts", version: "1.0.0",
  extract: ({ message }) => [{ kind: "fact", value_json: { text: message.content_raw } }]
}
`

const setUp = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  const modulePath = path.join(workspace, "notes.mjs")
  fs.writeFileSync(modulePath, linkifierSource)
  fs.writeFileSync(path.join(workspace, "facts.mjs"), extractorSource)
  const spec: ConfiguredSpec = makeSpec({
    name: "notes",
    kind: linkifier,
    modulePath: fs.realpathSync(modulePath),
    isolation: "thread",
    timeout: "500 millis",
    config: { token: "a-secret-of-the-config" }
  })
  const hub = yield* startHub({ workspace, plugins: [spec], fakes: { notes: () => Effect.succeed([]) } })
  return { hub, workspace, modulePath }
})

const tryPlugin = (hub: TestHub, given: object): Effect.Effect<Json> =>
  Effect.map(hub.post("/api/v1/dry-runs", given), ({ status, body }) => {
    assert.strictEqual(status, 200, JSON.stringify(body))
    return body
  })

// Each dry run starts an isolate, which takes long on a busy machine.
describe("a dry run", { timeout: 60_000 }, () => {
  it.live("returns what the plugin finds, logs and takes, or why it fails; nothing of the hub changes", () =>
    Effect.gen(function* () {
      const { hub, modulePath } = yield* setUp
      yield* hub.post("/api/v1/plugins/notes/trip", {})
      const before = yield* hub.get("/api/v1/plugins/notes")
      // The event of the trip is written after its answer.
      yield* eventually(hub.rows("SELECT 1 FROM events"), ({ length }) => length === 1)

      const good = yield* tryPlugin(hub, { plugin: "notes", text: "text 👩" })
      assert.deepInclude(good, {
        enrichments: [{ kind: "note", span: { start: 0, end: 4 }, data: { at: 1 } }],
        attachments: [],
        error: null,
        logs: [{ level: "debug", text: "looking with [config]" }],
        logs_left_out: 0,
        audit_snippet: ""
      })
      assert.deepInclude(good.plugin, {
        name: "notes",
        kind: "linkifier",
        version: "3.0.0",
        isolation: "thread",
        is_configured: true
      })
      for (const time of [good.load_ms, good.run_ms]) assert.isAbove(time, 0)
      assert.isAtLeast(good.queue_ms, 0)

      // More failures than open a circuit: each dry run has one of its own.
      const codes = ["INVALID_OUTPUT", "TIMEOUT", "WORKER_CRASH"]
      for (const [index, text] of ["lie", "hang", "die"].entries()) {
        const { error, enrichments } = yield* tryPlugin(hub, { plugin: "notes", text })
        assert.strictEqual(error.code, codes[index])
        assert.deepStrictEqual(enrichments, [])
      }
      const { error } = yield* tryPlugin(hub, { plugin: "notes", text: "boom" })
      assert.include(error.place.frame, '> 5 |     if (content_raw === "boom") throw new Error("it broke")')
      assert.deepInclude(error.place, { file: fs.realpathSync(modulePath), line: 5 })

      // It loads the file as it is now.
      fs.writeFileSync(modulePath, "export default {{")
      const broken = yield* tryPlugin(hub, { plugin: "notes", text: "text" })
      assert.deepInclude(broken, { load_ms: null, run_ms: null, queue_ms: null })
      assert.strictEqual(broken.error.code, "LOAD_ERROR")
      assert.include(broken.error.place.frame, "> 1 | export default {{")

      assert.deepStrictEqual((yield* hub.get("/api/v1/plugins/notes")).body, before.body)
      assert.deepStrictEqual((yield* hub.get("/api/v1/plugins/notes/runs")).body, { runs: [] })
      assert.lengthOf(yield* hub.rows("SELECT 1 FROM events"), 1)
      assert.lengthOf(yield* hub.rows("SELECT 1 FROM derivations"), 0)
      const metrics = yield* Effect.promise(() => fetch(`${hub.url}/metrics`).then((got) => got.text()))
      assert.match(metrics, /^agentlip_/m)
      assert.notMatch(metrics, /^agentlip_plugin_runs_total\{.*"notes".*\} [1-9]/m)
    })
  )

  it.live("takes a module of the workspace by its path, and nothing else", () =>
    Effect.gen(function* () {
      const { hub, workspace } = yield* setUp
      const facts = yield* tryPlugin(hub, { module_path: "./facts.mjs", text: "we ship" })
      assert.deepStrictEqual(facts.attachments, [{ kind: "fact", value_json: { text: "we ship" } }])
      assert.deepInclude(facts.plugin, {
        name: "facts",
        kind: "extractor",
        isolation: "process",
        grants: {},
        is_configured: false
      })
      // A module that the config names has its settings.
      const notes = yield* tryPlugin(hub, { module_path: "notes.mjs", text: "text" })
      assert.deepInclude(notes.plugin, { isolation: "thread", is_configured: true })

      const outside = path.join(path.dirname(workspace), `${path.basename(workspace)}.mjs`)
      fs.writeFileSync(outside, extractorSource)
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(outside)))
      fs.symlinkSync(outside, path.join(workspace, "link.mjs"))
      fs.symlinkSync("/dev/zero", path.join(workspace, "zero.mjs"))
      fs.mkdirSync(path.join(workspace, "folder.mjs"))
      fs.writeFileSync(path.join(workspace, "text.txt"), "")
      fs.writeFileSync(path.join(workspace, ".agentlip", "own.mjs"), extractorSource)
      execFileSync("mkfifo", [path.join(workspace, "pipe.mjs")])
      const refused: ReadonlyArray<readonly [object, number, RegExp]> = [
        [{ module_path: outside }, 400, /leads out of the workspace/],
        [{ module_path: `../${path.basename(outside)}` }, 400, /leads out of the workspace/],
        [{ module_path: "link.mjs" }, 400, /leads out of the workspace/],
        [{ module_path: "zero.mjs" }, 400, /leads out of the workspace/],
        [{ module_path: "folder.mjs" }, 400, /not a regular file/],
        [{ module_path: "pipe.mjs" }, 400, /not a regular file/],
        [{ module_path: ".agentlip/own.mjs" }, 400, /belongs to the hub alone/],
        [{ module_path: "text.txt" }, 400, /not a module/],
        [{ module_path: "missing.mjs" }, 400, /no file "missing.mjs"/],
        [{ module_path: "a\0.mjs" }, 400, /U\+0000/],
        [{ module_path: "" }, 400, /workspace/],
        [{}, 400, /Pass plugin or module_path/],
        [{ plugin: "notes", module_path: "facts.mjs" }, 400, /not both/],
        [{ plugin: "other" }, 404, /No plugin of the name "other"/]
      ]
      for (const [given, status, error] of refused) {
        const answer = yield* hub.post("/api/v1/dry-runs", { text: "x", ...given })
        assert.strictEqual(answer.status, status, JSON.stringify([given, answer.body]))
        assert.match(answer.body.error, error)
      }
      const long = yield* hub.post("/api/v1/dry-runs", { plugin: "notes", text: "ä".repeat(32_769) })
      assert.deepInclude(long.body, { code: "PAYLOAD_TOO_LARGE" })
      const anyone = yield* hub.post("/api/v1/dry-runs", { plugin: "notes", text: "x" }, { token: null })
      assert.strictEqual(anyone.status, 401)
    })
  )

  it.live("of which only two go on at once; one whose client leaves makes room", () =>
    Effect.gen(function* () {
      const { hub, workspace } = yield* setUp
      fs.writeFileSync(
        path.join(workspace, "forever.mjs"),
        `import * as fs from "node:fs"
        export default { name: "forever", version: "1.0.0", enrich: () => new Promise(() => setInterval(() => {}, 1000)) }`
      )
      const stop = new AbortController()
      const ask = (signal?: AbortSignal) =>
        fetch(`${hub.url}/api/v1/dry-runs`, {
          method: "POST",
          headers: { authorization: `Bearer ${hub.token}`, "content-type": "application/json" },
          body: JSON.stringify({ module_path: "forever.mjs", text: "x" }),
          ...(signal === undefined ? {} : { signal })
        })
      const left = [ask(stop.signal), ask(stop.signal)].map((asked) => asked.catch(() => undefined))
      const facts = hub.post("/api/v1/dry-runs", { module_path: "facts.mjs", text: "x" })
      const busy = yield* eventually(facts, ({ status }) => status === 503)
      assert.include(busy.body.error, "2 dry runs go on already")
      stop.abort()
      yield* Effect.promise(() => Promise.all(left))
      yield* eventually(facts, ({ status }) => status === 200)
    })
  )
})
