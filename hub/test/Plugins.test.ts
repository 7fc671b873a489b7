import { PluginTimeout } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { agentlip, shows } from "./hubProcess.ts"
import {
  client,
  derivationsOf,
  eventually,
  linkifierSpec,
  makeTopic,
  readServerFile,
  startHub,
  tempWorkspace
} from "./testHub.ts"

describe("GET /api/v1/plugins", () => {
  it.live("says how each plugin is confined, and how its circuit is", () =>
    Effect.gen(function* () {
      const timeout = new PluginTimeout({ plugin: "slow", timeout: Duration.seconds(5), phase: "run" })
      const hub = yield* startHub({
        plugins: [linkifierSpec("fine"), linkifierSpec("slow")],
        fakes: { fine: () => Effect.succeed([]), slow: () => Effect.fail(timeout) },
        breaker: { failureThreshold: 1 }
      })
      const { topic } = yield* makeTopic(hub)
      const { body } = yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "x" })
      yield* derivationsOf(hub, body.message.id)
      const rights = {
        kind: "linkifier",
        isolation: "thread",
        sandbox: null,
        enforcement: "enforce",
        grants: {},
        audit: null
      }
      assert.deepStrictEqual((yield* hub.get("/api/v1/plugins")).body, {
        plugins: [
          { name: "fine", ...rights, circuit: { state: "closed", failures: 0 } },
          { name: "slow", ...rights, circuit: { state: "open", failures: 1 } }
        ]
      })
    })
  )
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
        const jobs = yield* derivationsOf(api, body.message.id)
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
