/** What changes while a hub runs: its config file, and the modules of its plugins. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { agentlip, shows } from "./hubProcess.ts"
import { client, jobsOf, eventually, type Json, makeTopic, readServerFile, tempWorkspace } from "./testHub.ts"

const source = (version: number) => `
  import { writeFileSync } from "node:fs"
  export default {
    name: "says", version: "${version}.0.0",
    async enrich({ message, config }) {
      if (message.content_raw === "slowly") {
        console.log("a slow run begins")
        await new Promise((resolve) => setTimeout(resolve, 1500))
      }
      return [{ kind: "said", span: { start: 0, end: 1 }, data: { version: ${version}, word: config.word ?? null } }]
    }
  }`

const config = (...entries: ReadonlyArray<object>) =>
  `export default { linkifiers: ${JSON.stringify(entries)} }`
const says = { name: "says", modulePath: "./says.mjs", isolation: "thread" }
const other = { name: "other", modulePath: "./other.mjs", isolation: "thread" }

const running = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  const save = (name: string, text: string): void => {
    // As editors do: at no moment is there half a file.
    fs.writeFileSync(path.join(workspace, `${name}.new`), text)
    fs.renameSync(path.join(workspace, `${name}.new`), path.join(workspace, name))
  }
  save("says.mjs", source(1))
  save("other.mjs", source(7))
  save("agentlip.config.mjs", config(says))
  const process = yield* agentlip("up", "--workspace", workspace)
  yield* shows(process, "ok      linkifier says")
  const { host, port, auth_token } = readServerFile(workspace)
  const hub = client(`http://${host}:${port}`, auth_token)
  const { topic } = yield* makeTopic(hub)
  const post = (content_raw: string) =>
    Effect.map(hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw }), ({ body }) =>
      String(body.message.id)
    )
  /** What plugins said of a message, by their names. */
  const said = Effect.fnUntraced(function* (id: string) {
    yield* jobsOf(hub, id)
    const { body } = yield* hub.get(`/api/v1/messages/${id}/enrichments`)
    return Object.fromEntries(
      body.enrichments.map(({ plugin_name, data }: Json) => [plugin_name, data])
    ) as Json
  })
  const ask = Effect.flatMap(post("hello"), said)
  const plugins = Effect.map(hub.get("/api/v1/plugins"), ({ body }) => body)
  return { save, process, hub, post, said, ask, plugins }
})

describe.concurrent("A running hub", () => {
  it.live(
    "takes up plugins that are new, changed and gone in its config; jobs of those that are gone wait",
    () =>
      Effect.gen(function* () {
        const { save, process, hub, post, ask, plugins } = yield* running
        assert.deepStrictEqual(yield* ask, { says: { version: 1, word: null } })
        save("agentlip.config.mjs", config({ ...says, config: { word: "hi" } }, other))
        yield* shows(process, "new: other; changed: says")
        assert.deepStrictEqual(yield* ask, {
          says: { version: 1, word: "hi" },
          other: { version: 7, word: null }
        })
        const waiting = yield* Effect.forEach(Array.from({ length: 4 }), () => post("slowly"))
        save("agentlip.config.mjs", config(says))
        yield* shows(process, "changed: says; gone: other")
        assert.deepStrictEqual(
          (yield* plugins).plugins.map(({ name }: Json) => name),
          ["says"]
        )
        const last = waiting.at(-1) ?? ""
        const open = yield* hub.get(`/api/v1/messages/${last}/derivations`)
        assert.deepInclude(
          open.body.derivations.find(({ plugin_name }: Json) => plugin_name === "other"),
          { state: "pending" }
        )
        save("agentlip.config.mjs", config(says, { ...other }))
        yield* eventually(hub.get(`/api/v1/messages/${last}/derivations`), ({ body }) =>
          body.derivations.some(
            ({ plugin_name, state }: Json) => plugin_name === "other" && state === "committed"
          )
        )
      }),
    60_000
  )

  it.live(
    "says of every plugin that uses a module when that does not load",
    () =>
      Effect.gen(function* () {
        const { save, process, plugins } = yield* running
        save("agentlip.config.mjs", config(says, { ...says, name: "echoes" }))
        yield* shows(process, "new: echoes")
        save("says.mjs", "export default { nonsense")
        const found = yield* eventually(plugins, ({ plugins }) =>
          plugins.every(({ outdated }: Json) => outdated !== null)
        )
        assert.lengthOf(found.plugins, 2)
      }),
    60_000
  )

  it.live(
    "goes on as it was with a config that cannot be used, and says so until it can",
    () =>
      Effect.gen(function* () {
        const { save, process, ask, plugins } = yield* running
        save("agentlip.config.mjs", "export default { linkifiers: [")
        yield* shows(process, "the config cannot be used")
        assert.include((yield* plugins).config_problem, "agentlip.config.mjs")
        assert.deepStrictEqual(yield* ask, { says: { version: 1, word: null } })
        // Of a plugin that the new config would have loaded, the old entry goes on.
        save("agentlip.config.mjs", config({ ...says, modulePath: "./missing.mjs" }))
        yield* shows(process, "the config can be used again")
        yield* shows(process, "Its entry in the config has changed and does not load")
        assert.isNull((yield* plugins).config_problem)
        assert.strictEqual((yield* plugins).plugins[0].outdated.code, "LOAD_ERROR")
        assert.deepStrictEqual(yield* ask, { says: { version: 1, word: null } })
        // The module comes later than the entry that names it.
        save("missing.mjs", source(4))
        yield* shows(process, "its entry in the config loads now")
        assert.isNull((yield* plugins).plugins[0].outdated)
        assert.deepStrictEqual(yield* ask, { says: { version: 4, word: null } })
        save("agentlip.config.mjs", config({ ...says, config: { word: "again" } }))
        yield* shows(process, "changed: says")
        assert.deepStrictEqual(yield* ask, { says: { version: 1, word: "again" } })
      }),
    60_000
  )

  it.live(
    "runs a plugin's new module; a broken one changes nothing but what is said of it",
    () =>
      Effect.gen(function* () {
        const { save, process, post, said, ask, plugins } = yield* running
        const slow = yield* post("slowly")
        const slowly = yield* Effect.forkChild(said(slow))
        yield* shows(process, "a slow run begins")
        save("says.mjs", source(2))
        yield* shows(process, "version 2.0.0")
        assert.deepStrictEqual(yield* ask, { says: { version: 2, word: null } })
        // It was under way.
        assert.deepStrictEqual(yield* Fiber.join(slowly), { says: { version: 1, word: null } })
        save("says.mjs", "export default { nonsense")
        yield* shows(process, "still running the previous version")
        assert.deepStrictEqual(yield* ask, { says: { version: 2, word: null } })
        const [plugin] = (yield* plugins).plugins
        assert.strictEqual(plugin.outdated.code, "LOAD_ERROR")
        save("says.mjs", source(3))
        yield* shows(process, "version 3.0.0")
        assert.deepStrictEqual(yield* ask, { says: { version: 3, word: null } })
        assert.isNull((yield* plugins).plugins[0].outdated)
      }),
    60_000
  )
})
