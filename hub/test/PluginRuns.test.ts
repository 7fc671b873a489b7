/** The latest runs of a plugin: what the hub remembers of them, and what shows it. */
import {
  type ConfiguredSpec,
  CurrentRunObserver,
  ExecutionError,
  extractor,
  linkifier,
  makeSpec
} from "@agentlip/plugin-runtime"
import { parseServerFile, urlOf } from "@agentlip/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Hub from "../src/Hub.ts"
import { RecentRuns } from "../src/plugins/RecentRuns.ts"
import { Secrets } from "../src/plugins/Secrets.ts"
import { Specs } from "../src/plugins/Specs.ts"
import { commandsOf } from "./cli.ts"
import { databaseOf } from "./testDatabase.ts"
import { client, type Json, jobsOf, linkifierSpec, makeTopic, startHub, tempWorkspace } from "./testHub.ts"

const spec = linkifierSpec("talks")

const source = `export default {
  name: "notes", version: "1.2.3",
  enrich({ message, config }, { log }) {
    log.debug("looking at " + message.content_raw + " with " + config.apiKey)
    console.warn("careful\\u001b[31m")
    if (message.content_raw.includes("boom")) {
      throw new Error("no " + message.content_raw)
    }
    return [{ kind: "note", span: { start: 0, end: 1 }, data: {} }]
  }
}
`

const facts = `export default {
  name: "facts", version: "4.5.6",
  extract: ({ message }) => [{ kind: "said", value_json: { text: message.content_raw } }]
}
`

/** A hub whose plugins run in threads. */
const liveHub = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  const modulePath = path.join(workspace, "notes.mjs")
  fs.writeFileSync(modulePath, source)
  fs.writeFileSync(path.join(workspace, "facts.mjs"), facts)
  const extracting = makeSpec({
    name: "facts",
    kind: extractor,
    modulePath: path.join(workspace, "facts.mjs"),
    isolation: "thread"
  })
  const spec: ConfiguredSpec = makeSpec({
    name: "notes",
    kind: linkifier,
    modulePath,
    isolation: "thread",
    config: { apiKey: "secret-of-the-config" }
  })
  yield* Layer.build(
    Hub.live({ workspace, ...databaseOf(workspace), plugins: [spec, extracting], rateLimits: false })
  )
  const parsed = parseServerFile(fs.readFileSync(path.join(workspace, ".agentlip", "server.json"), "utf8"))
  if ("problem" in parsed) return yield* Effect.die(new Error(parsed.problem))
  return { workspace, modulePath, ...client(urlOf(parsed.server), parsed.server.auth_token) }
})

const post = (
  hub: Pick<Awaited<ReturnType<typeof client>>, "get" | "post">,
  topic_id: string,
  content_raw: string
) =>
  hub.post("/api/v1/messages", { topic_id, sender: "ada", content_raw }).pipe(
    Effect.map(({ body }) => String(body.message.id)),
    Effect.tap((id) => jobsOf(hub, id))
  )

const runsOf = (
  hub: { readonly get: (path: string) => Effect.Effect<{ readonly body: Json }> },
  plugin: string
) => Effect.map(hub.get(`/api/v1/plugins/${plugin}/runs`), ({ body }): ReadonlyArray<Json> => body.runs)

describe("the latest runs of a plugin", () => {
  it.live("have their log, times, version and error with its place; a finding has the version", () =>
    Effect.gen(function* () {
      const hub = yield* liveHub
      const { topic } = yield* makeTopic(hub)
      const good = yield* post(hub, topic, "fine")
      const bad = yield* post(hub, topic, "boom")
      const [failed, ok] = yield* runsOf(hub, "notes")
      assert.deepInclude(ok, {
        message_id: good,
        outcome: "ok",
        found: 1,
        version: "1.2.3",
        logs_left_out: 0,
        error: null,
        logs: [
          { level: "debug", text: "looking at fine with [config]" },
          { level: "warn", text: "careful\\u001b[31m" }
        ]
      })
      assert.isAbove(ok.run_ms, 0)
      assert.isAtLeast(ok.queue_ms, 0)
      assert.deepInclude(failed, {
        message_id: bad,
        outcome: "execution_error",
        found: null,
        version: "1.2.3"
      })
      assert.deepInclude(failed.error, { code: "EXECUTION_ERROR", message: "Error: no boom" })
      assert.deepInclude(failed.error.place, { file: fs.realpathSync(hub.modulePath), line: 7 })
      // Nothing of what serves it.
      assert.deepStrictEqual(
        failed.error.stack.map(({ file }: Json) => file),
        [fs.realpathSync(hub.modulePath)]
      )
      assert.include(failed.error.place.frame, '> 7 |       throw new Error("no " + message.content_raw)')

      const { body } = yield* hub.get(`/api/v1/findings?message_id=${good}`)
      assert.strictEqual(body.findings[0].plugin_version, "1.2.3")
      assert.deepInclude(body.findings[1], {
        type: "attachment",
        plugin_name: "facts",
        plugin_version: "4.5.6"
      })
      const events = yield* hub.get("/api/v1/events?tail=50")
      const enriched = events.body.events.find(({ name }: Json) => name === "message.enriched")
      assert.strictEqual(enriched.data_json.plugin_version, "1.2.3")
      const attached = events.body.events.find(({ name }: Json) => name === "topic.attachment_added")
      assert.deepInclude(attached.data_json, { plugin_name: "facts", plugin_version: "4.5.6" })

      const run = commandsOf(hub.workspace)
      const logs = yield* run("plugin", "logs", "notes")
      assert.match(logs.out, /ok, 1 found, ran .* version 1\.2\.3/)
      assert.include(logs.out, "  debug  looking at fine with [config]")
      assert.notInclude(logs.out, "\u001b")
      assert.include(logs.out, "EXECUTION_ERROR: Error: no boom")
      assert.include(logs.out, '> 7 |       throw new Error("no " + message.content_raw)')
      const json = (yield* run("plugin", "logs", "notes", "--failed", "--json")).json
      assert.deepStrictEqual(
        json.runs.map(({ message_id }: Json) => message_id),
        [bad]
      )
      const shown = yield* run("plugin", "show", "notes")
      assert.match(shown.out, /^notes\n {2}kind +linkifier\n/)
      assert.match(shown.out, /runs +1 ok, 1 execution_error/)
      assert.include(shown.out, "EXECUTION_ERROR: ")
      assert.strictEqual((yield* run("plugin", "logs", "other")).code, 1)

      // What they say of a deleted message is forgotten.
      const errorsOf = Effect.map(
        hub.get("/api/v1/plugins/notes"),
        ({ body }): ReadonlyArray<Json> => body.plugin.last_errors
      )
      assert.include(JSON.stringify(yield* errorsOf), "no boom")
      yield* hub.patch(`/api/v1/messages/${bad}`, { op: "delete", actor: "ada" })
      const [forgotten] = yield* runsOf(hub, "notes")
      assert.deepInclude(forgotten, { message_id: bad, logs: [], logs_left_out: 2 })
      assert.notInclude(JSON.stringify(forgotten), "boom")
      assert.strictEqual(forgotten.error.code, "EXECUTION_ERROR")
      assert.deepStrictEqual(yield* errorsOf, [])
    })
  )

  it.live("are the newest 50, and 20 that failed before; long logs are cut", () =>
    Effect.gen(function* () {
      let logged = 0
      const hub = yield* startHub({
        plugins: [linkifierSpec("talks"), linkifierSpec("quiet")],
        breaker: { failureThreshold: 1_000 },
        fakes: {
          talks: () =>
            Effect.flatMap(CurrentRunObserver, (observer) => {
              const number = ++logged
              for (let line = 0; line < 150; line++)
                observer?.log("Info", "x".repeat(number > 65 ? 5_000 : 10))
              return number > 25 && number % 2 === 0
                ? Effect.succeed([])
                : Effect.fail(
                    new ExecutionError({
                      plugin: "talks",
                      cause: { name: "Error", message: `failure ${number}` }
                    })
                  )
            }),
          quiet: () => Effect.succeed([])
        }
      })
      const { topic } = yield* makeTopic(hub)
      const ids: Array<string> = []
      for (let number = 0; number < 75; number++) {
        const content_raw = `message ${number}`
        const { body } = yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
        ids.push(body.message.id)
      }
      for (const id of ids) yield* jobsOf(hub, id)
      const runs = yield* runsOf(hub, "talks")
      assert.lengthOf(runs, 70)
      // The newest 50 alternate; before them, only failures are left.
      assert.isTrue(runs.slice(50).every(({ error }) => error !== null))
      assert.strictEqual(runs.slice(0, 50).filter(({ error }) => error !== null).length, 25)
      assert.lengthOf(runs[0].logs, 100)
      assert.strictEqual(runs[0].logs_left_out, 50)
      assert.lengthOf(runs[0].logs[0].text, 2_000)
      // The oldest lose their log first.
      assert.deepInclude(runs[69], { logs: [], logs_left_out: 150 })
      const length = runs
        .flatMap(({ logs }) => logs)
        .reduce((sum: number, { text }: Json) => sum + text.length, 0)
      assert.isAtMost(length, 256 * 1024)
      assert.deepInclude((yield* runsOf(hub, "quiet"))[0], { found: 0, logs: [], version: "test" })
    })
  )

  it.effect("keep the log and the error of a run that ends while the hub looks for deleted messages", () =>
    Effect.gen(function* () {
      const recent = yield* RecentRuns
      const fail = (messageId: string) => {
        const { observer, failed } = recent.record("talks", messageId)
        observer.log("Info", `looking at ${messageId}`)
        failed(
          new ExecutionError({ plugin: "talks", cause: { name: "Error", message: `no ${messageId}` } }),
          spec
        )
      }
      fail("deleted")
      fail("kept")
      const asked = yield* Deferred.make<ReadonlyArray<string>>()
      const answer = yield* Deferred.make<ReadonlySet<string>>()
      const undeleted = (ids: ReadonlyArray<string>) =>
        Effect.andThen(Deferred.succeed(asked, ids), Deferred.await(answer))
      const looking = yield* Effect.forkChild(recent.errorsOf("talks", undeleted))
      assert.sameMembers([...(yield* Deferred.await(asked))], ["deleted", "kept"])
      fail("later")
      yield* Deferred.succeed(answer, new Set(["kept"]))
      const messagesOf = (errors: ReadonlyArray<{ readonly error: Error }>) =>
        errors.map(({ error }) => error.message)
      const shown = messagesOf(yield* Fiber.join(looking))
      assert.lengthOf(shown, 1)
      assert.include(shown[0], "no kept")

      const all = (ids: ReadonlyArray<string>) => Effect.succeed(new Set(ids))
      assert.deepStrictEqual(
        (yield* recent.of("talks", all)).map(({ message_id, logs }) => [message_id, logs.length]),
        [
          ["later", 1],
          ["kept", 1],
          ["deleted", 0]
        ]
      )
      const [later = ""] = messagesOf(yield* recent.errorsOf("talks", all))
      assert.include(later, "no later")
    }).pipe(
      Effect.provide(
        RecentRuns.layer.pipe(Layer.provide(Secrets.layer()), Layer.provide(Specs.layer([spec])))
      )
    )
  )
})
