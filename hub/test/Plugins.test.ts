import { ExecutionError, PluginTimeout } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { withoutSecrets } from "../src/plugins/Secrets.ts"
import { agentlip, shows } from "./hubProcess.ts"
import {
  client,
  jobsOf,
  eventually,
  type Json,
  linkifierSpec,
  makeTopic,
  readServerFile,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"

const timeout = (plugin: string) => new PluginTimeout({ plugin, timeout: Duration.seconds(5), phase: "run" })

/** Posts a message and waits for what became of it. */
const post = Effect.fnUntraced(function* (hub: Pick<TestHub, "get" | "post">, topic: string) {
  const { body } = yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "x" })
  yield* jobsOf(hub, body.message.id)
})

const none = {
  ok: 0,
  interrupted: 0,
  defect: 0,
  timeout: 0,
  worker_crash: 0,
  invalid_output: 0,
  circuit_open: 0,
  load_error: 0,
  execution_error: 0
}

describe("GET /api/v1/plugins", () => {
  it.live("says how each plugin is confined, how its circuit is and how its runs went", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [linkifierSpec("fine"), linkifierSpec("slow"), linkifierSpec("unused")],
        fakes: { fine: () => Effect.delay(Effect.succeed([]), 30), slow: () => Effect.fail(timeout("slow")) },
        breaker: { failureThreshold: 1 }
      })
      const { topic } = yield* makeTopic(hub)
      yield* post(hub, topic)
      const { plugins } = (yield* hub.get("/api/v1/plugins")).body
      const rights = {
        kind: "linkifier",
        isolation: "thread",
        sandbox: null,
        enforcement: "enforce",
        grants: {},
        outdated: null,
        audit: null
      }
      const states = plugins.map(({ run_ms: _run, queue_ms: _queue, ...rest }: Json) => rest)
      const closed = { state: "closed", failures: 0 }
      assert.deepStrictEqual(states.slice(0, 2), [
        { name: "fine", ...rights, circuit: closed, runs: { ...none, ok: 1 } },
        { name: "slow", ...rights, circuit: { state: "open", failures: 1 }, runs: { ...none, timeout: 1 } }
      ])
      const { run_ms, queue_ms } = plugins[0]
      assert.strictEqual(run_ms.count, 1)
      assert.isAtLeast(run_ms.p50, 29)
      assert.isAtMost(run_ms.p99, 5_000)
      assert.strictEqual(run_ms.max, run_ms.p99)
      assert.strictEqual(queue_ms.count, 1)
    })
  )
})

describe("GET /api/v1/plugins/:name", () => {
  const token = "ghp_0123456789abcdef"
  const specs = (name: string) => [
    {
      ...linkifierSpec(name),
      config: { repository: "nodejs/node", auth: { token, quoted: 'a "quoted" secret' }, short: "ok" },
      limits: { ...linkifierSpec(name).limits, cpu: 200 }
    }
  ]

  it.live("has the last errors with the plugin's stack, its limits, and nothing of its config", () =>
    Effect.gen(function* () {
      let runs = 0
      const cause = (message: string) => ({
        name: "Error",
        message,
        stack: `Error: ${message}\n    at enrich (issues.ts:3:9)`
      })
      const hub = yield* startHub({
        plugins: specs("issues"),
        fakes: {
          issues: () =>
            Effect.fail(
              new ExecutionError({
                plugin: "issues",
                cause: cause(`${++runs}: 401 for ${token}, 'a "quoted" secret', ok`)
              })
            )
        },
        breaker: { failureThreshold: 100 }
      })
      const { topic } = yield* makeTopic(hub)
      const before = Date.now()
      for (let posted = 0; posted < 12; posted++) yield* post(hub, topic)
      const { status, body } = yield* hub.get("/api/v1/plugins/issues")
      assert.strictEqual(status, 200)
      const { plugin } = body
      assert.strictEqual(plugin.runs.execution_error, 12)
      assert.strictEqual(plugin.run_ms.count, 12)
      assert.strictEqual(plugin.module_path, "/fake/issues.ts")
      assert.strictEqual(plugin.timeout_ms, 5000)
      assert.deepStrictEqual([plugin.limits.cpu, plugin.limits.memory], [200, 128])
      assert.strictEqual(plugin.last_errors.length, 10)
      const [last] = plugin.last_errors
      assert.strictEqual(last.code, "EXECUTION_ERROR")
      const message = "12: 401 for [config], '[config]', ok"
      assert.strictEqual(last.message, `Plugin "issues" threw Error: ${message}`)
      assert.deepStrictEqual(last.error.cause, cause(message))
      assert.isAtLeast(Date.parse(last.at), before)
      assert.isFalse(JSON.stringify(body).includes(token))
      assert.notProperty(plugin, "config")
    })
  )

  it.live("refuses a name that is not configured, and finds one that has to be escaped", () =>
    Effect.gen(function* () {
      const name = 'a/b "ü"'
      const hub = yield* startHub({ plugins: specs(name) })
      const found = yield* hub.get(`/api/v1/plugins/${encodeURIComponent(name)}`)
      assert.strictEqual(found.body.plugin?.name, name)
      assert.deepStrictEqual(found.body.plugin.runs, none)
      const { status, body } = yield* hub.get("/api/v1/plugins/nobody")
      assert.strictEqual(status, 404)
      assert.strictEqual(body.code, "NOT_FOUND")
      assert.strictEqual(
        body.error,
        'No plugin of the name "nobody" is configured; GET /api/v1/plugins lists them'
      )
    })
  )
})

describe("what is taken out of errors", () => {
  it("values of granted variables too, the longer before what is a part of it", () => {
    const clean = withoutSecrets(
      {
        config: { url: "https://example.com", all: ["https://example.com/secret"] },
        grants: { env: ["KEY", "GONE"] }
      },
      { KEY: "line one\nline two", OTHER: "not granted" }
    )
    const json = {
      text: "https://example.com/secret https://example.com line one\nline two",
      n: 1,
      not: "not granted"
    }
    assert.deepStrictEqual(clean(json), { text: "[config] [config] [env KEY]", n: 1, not: "not granted" })
  })
})

describe("a plugin in audit mode", () => {
  it.live(
    "has what it would need served as a snippet for the config, and logged when the hub stops",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        fs.writeFileSync(path.join(workspace, "words.txt"), "one\n")
        fs.writeFileSync(
          path.join(workspace, "agentlip.config.ts"),
          `export default { linkifiers: [
            { name: "curious", modulePath: "./curious.ts", enforcement: "audit" },
            { name: "modest", modulePath: "./modest.ts", enforcement: "audit" }
          ] }`
        )
        const plugin = (name: string, body: string): void =>
          fs.writeFileSync(
            path.join(workspace, `${name}.ts`),
            `import * as fs from "node:fs"
             export default { name: "${name}", version: "1.0.0", enrich: () => { ${body}; return [] } }`
          )
        const words = path.join(workspace, "words.txt")
        // Whom plugins run as may have to be let in.
        fs.chmodSync(workspace, 0o755)
        plugin("curious", `fs.readFileSync(${JSON.stringify(words)}); process.env.HOME`)
        plugin("modest", "")

        const hub = yield* agentlip("up", "--workspace", workspace)
        yield* shows(hub, "ok      linkifier modest")
        assert.match(hub.output(), /linkifier curious .*: process, no sandbox, AUDIT/)
        const { port, auth_token } = readServerFile(workspace)
        const api = client(`http://127.0.0.1:${port}`, auth_token)
        const { topic } = yield* makeTopic(api)
        const { body } = yield* api.post("/api/v1/messages", {
          topic_id: topic,
          sender: "a",
          content_raw: "x"
        })
        const jobs = yield* jobsOf(api, body.message.id)
        assert.deepStrictEqual(
          jobs.map(({ state, error }) => [state, error]),
          [
            ["empty", null],
            ["empty", null]
          ]
        )
        const [curious, modest] = (yield* api.get("/api/v1/plugins")).body.plugins
        assert.deepStrictEqual(modest.audit, { needs: {}, snippet: "" })
        assert.deepStrictEqual(curious.audit.needs, { read: [words], env: ["HOME"] })
        assert.strictEqual(curious.audit.snippet, 'grants: { read: ["./words.txt"], env: ["HOME"] }')

        hub.process.kill("SIGTERM")
        yield* Effect.promise(() => hub.ended)
        yield* eventually(Effect.sync(hub.output), (log) => log.includes(curious.audit.snippet))
        assert.match(hub.output(), /it used nothing that it is not granted/)
      }),
    60_000
  )
})
