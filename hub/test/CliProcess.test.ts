import { engineWarning } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import { spawnSync } from "node:child_process"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Workspace } from "../src/workspace/Workspace.ts"
import { WriterLock } from "../src/workspace/WriterLock.ts"
import { agentlipProcess, type Child, commandsOf, start } from "./cli.ts"
import { agentlip, root, shows } from "./hubProcess.ts"
import {
  client,
  eventually,
  linkifierSpec,
  makeTopic,
  readServerFile,
  startHub,
  tempWorkspace
} from "./testHub.ts"

/** A hub as a process of its own, once it is up. */
const hubOn = Effect.fnUntraced(function* (workspace: string) {
  const hub = yield* agentlip("up", "--workspace", workspace)
  yield* shows(hub, "Plugins (")
  const { host, port, auth_token: token } = readServerFile(workspace)
  return { ...hub, token, ...client(`http://${host}:${port}`, token) }
})

const lines = (child: Child) =>
  child
    .out()
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line))

const say = (hub: Parameters<typeof makeTopic>[0], topic: string, content_raw: string) =>
  hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw })

const has = (child: Child, text: string) =>
  eventually(
    Effect.sync(() => child.out() + child.err()),
    (shown) => shown.includes(text)
  )

describe("agentlip listen", () => {
  it.live(
    "goes on where it was when the hub is killed and started again, and ends with Ctrl-C",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const first = yield* hubOn(workspace)
        const { topic } = yield* makeTopic(first)
        const all = yield* start(["listen", "--since", "0", "-w", workspace])
        const tail = yield* start(["msg", "tail", "general/first", "--follow", "-w", workspace, "--json"])
        yield* say(first, topic, "before")
        yield* Effect.forEach([all, tail], (child) => has(child, "before"))
        first.process.kill("SIGKILL")
        yield* Effect.forEach([all], (child) => has(child, "the hub has stopped"))

        const second = yield* hubOn(workspace)
        for (let n = 1; n <= 20; n++) yield* say(second, topic, `after ${n}`)
        yield* Effect.forEach([all, tail], (child) => has(child, "after 20"))
        assert.deepStrictEqual(
          lines(all).map(({ event_id }) => event_id),
          Array.from({ length: 23 }, (_, index) => index + 1)
        )
        assert.deepStrictEqual(
          lines(tail).map(({ content_raw }) => content_raw),
          ["before", ...Array.from({ length: 20 }, (_, index) => `after ${index + 1}`)]
        )
        assert.match(all.err(), /^agentlip: the hub has stopped.*\nagentlip: the hub is back; .* event 3\n$/)
        assert.strictEqual(tail.err(), "")

        all.process.kill("SIGINT")
        assert.strictEqual((yield* all.ended).code, 0)
        for (const { out, err } of [yield* all.ended]) {
          assert.notInclude(out + err, first.token)
          assert.notInclude(out + err, second.token)
        }
      }),
    60_000
  )

  it.live(
    "ends well when nobody reads it any more",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub()
        const { topic } = yield* makeTopic(hub)
        const child = yield* start(["listen", "--since", "0", "general/first", "-w", hub.workspace])
        yield* has(child, "topic.created")
        assert.strictEqual(lines(child).length, 1)
        child.process.stdout?.destroy()
        yield* eventually(
          Effect.andThen(
            say(hub, topic, "unread"),
            Effect.sync(() => child.process.exitCode)
          ),
          (code) => code !== null
        )
        const { code, err } = yield* child.ended
        assert.deepStrictEqual([code, err], [0, ""])
      }),
    60_000
  )

  it.live(
    "ends when the workspace has another database, whose events are others",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const first = yield* hubOn(workspace)
        const child = yield* start(["listen", "--since", "0", "-w", workspace])
        yield* first.post("/api/v1/channels", { name: "here" })
        yield* has(child, "here")
        first.process.kill("SIGTERM")
        yield* Effect.promise(() => first.ended)
        for (const file of fs.globSync(path.join(workspace, ".agentlip", "db.sqlite3*"))) fs.rmSync(file)
        yield* hubOn(workspace)
        const { code, err } = yield* child.ended
        assert.strictEqual(code, 1)
        assert.include(err, "another database")
      }),
    60_000
  )
})

describe("agentlip init", () => {
  it.live(
    "writes a plugin whose test passes and whose types are right",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        yield* commandsOf(workspace)("init")
        fs.mkdirSync(path.join(workspace, "node_modules", "@agentlip"), { recursive: true })
        fs.symlinkSync(root, path.join(workspace, "node_modules/@agentlip/plugin-runtime"))
        fs.symlinkSync(path.join(root, "node_modules/@types"), path.join(workspace, "node_modules/@types"))
        const { scripts } = JSON.parse(fs.readFileSync(path.join(workspace, "package.json"), "utf8"))
        assert.strictEqual(scripts.test, "node --test")
        const env = { ...process.env, NODE_OPTIONS: "--conditions=@agentlip/source" }
        const test = () => spawnSync(process.execPath, ["--test"], { cwd: workspace, encoding: "utf8", env })
        const passing = test()
        assert.strictEqual(passing.status, 0, passing.stdout)
        assert.match(passing.stdout, /pass 2/)
        const plugin = path.join(workspace, "plugins", "hashtags.ts")
        fs.writeFileSync(plugin, fs.readFileSync(plugin, "utf8").replace('"hashtag"', '"other"'))
        assert.strictEqual(test().status, 1)
        const typescript = path.join(root, "node_modules/typescript/bin/tsc")
        const types = spawnSync(process.execPath, [typescript, "-p", "."], {
          cwd: workspace,
          encoding: "utf8"
        })
        assert.strictEqual(types.status, 0, types.stdout)
      }),
    60_000
  )

  it.live("keeps every file that is there, and says so", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const mine = ["package.json", "tsconfig.json", ".gitignore", ".vscode/launch.json"]
      fs.mkdirSync(path.join(workspace, ".vscode"))
      for (const name of mine) fs.writeFileSync(path.join(workspace, name), "mine")
      const { code, json } = yield* commandsOf(workspace)("init", "--json")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual([...json.kept].sort(), mine.map((name) => path.join(workspace, name)).sort())
      for (const name of mine) assert.strictEqual(fs.readFileSync(path.join(workspace, name), "utf8"), "mine")
      assert.isTrue(json.created.every((file: string) => fs.existsSync(file) && !json.kept.includes(file)))
      const other = yield* tempWorkspace
      fs.writeFileSync(path.join(other, "package.json"), '{ "type": "commonjs" }')
      const { out } = yield* commandsOf(other)("init")
      assert.match(out, /Kept as they were:\n {2}package\.json\n/)
      assert.include(out, "npm pkg set type=module && npm install --save-dev @agentlip/plugin-runtime")
    })
  )
})

describe("agentlip msg tail", () => {
  it.live(
    "shows what plugins found in each of the messages it begins with",
    () =>
      Effect.gen(function* () {
        const words = (input: unknown) => {
          const { message } = input as { readonly message: { readonly content_raw: string } }
          const text = message.content_raw
          return Effect.succeed([{ kind: "word", span: { start: 0, end: text.length }, data: { text } }])
        }
        const hub = yield* startHub({ plugins: [linkifierSpec("words")], fakes: { words } })
        const { topic } = yield* makeTopic(hub)
        const texts = Array.from({ length: 30 }, (_, index) => `word${index + 10}`)
        for (const text of texts) yield* say(hub, topic, text)
        yield* eventually(
          hub.get("/api/v1/events?tail=1000"),
          ({ body }) =>
            body.events.filter(({ name }: { readonly name: string }) => name === "message.enriched")
              .length === texts.length
        )
        const child = yield* start(["msg", "tail", "general/first", "--limit", "30", "-w", hub.workspace])
        yield* has(child, '↳ words: word "word39"')
        for (const text of texts) assert.include(child.out(), `↳ words: word "${text}" {"text":"${text}"}`)
      }),
    60_000
  )
})

describe("agentlip init, up, doctor, down", () => {
  it.live(
    "lead from an empty folder to a plugin's finds, and back",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const run = commandsOf(workspace)
        const made = yield* run("init")
        assert.strictEqual(made.code, 0, made.err)
        assert.include(made.out, "plugins/hashtags.ts")
        assert.match(made.out, /Start the hub: .* up -w/)
        assert.strictEqual(fs.statSync(path.join(workspace, ".agentlip")).mode & 0o777, 0o700)
        const config = path.join(workspace, "agentlip.config.ts")
        fs.appendFileSync(config, "// mine\n")
        const again = yield* run("init", "--json")
        assert.strictEqual(again.code, 1)
        assert.strictEqual(JSON.parse(again.err).code, "EXISTS")
        assert.match(fs.readFileSync(config, "utf8"), /\/\/ mine\n$/)

        const hub = yield* hubOn(workspace)
        assert.match(hub.output(), /ok +linkifier hashtags \(hashtags 1\.0\.0\)/)
        const { topic } = yield* makeTopic(hub)
        const sent = yield* agentlipProcess(["msg", "send", topic, "-", "-w", workspace], "for #Release 2\n")
        const message = sent.out.trim()
        const found = yield* eventually(
          hub.get(`/api/v1/messages/${message}/enrichments`),
          ({ body }) => body.enrichments.length > 0
        )
        assert.deepStrictEqual(found.body.enrichments[0].data, { tag: "release" })

        const healthy = yield* run("doctor", "--json")
        assert.strictEqual(healthy.code, 0, healthy.out)
        assert.strictEqual(healthy.json.db_id, (yield* hub.get("/health")).body.db_id)
        const statusOf = (name: string) =>
          healthy.json.checks.find((check: { name: string }) => check.name === name)?.status
        const known = engineWarning(process.versions.node)
        assert.strictEqual(statusOf("node"), known === undefined ? "ok" : "warning")
        for (const name of ["workspace", "hub", "lock", "database", "config", "plugin hashtags"]) {
          assert.strictEqual(statusOf(name), "ok", name)
        }

        const stopped = yield* agentlipProcess(["down", "-w", workspace])
        assert.deepStrictEqual([stopped.code, stopped.err], [0, ""])
        assert.isFalse(fs.existsSync(path.join(workspace, ".agentlip", "server.json")))
        assert.strictEqual(yield* Effect.promise(() => hub.ended), 0)
        assert.strictEqual((yield* run("down")).code, 3)
      }),
    60_000
  )

  it.live(
    "up on a workspace that another hub holds ends with the exit code of Agentlip v1",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub()
        const { code, err } = yield* agentlipProcess(["up", "-w", hub.workspace, "--json"])
        assert.strictEqual(code, 10)
        assert.strictEqual(JSON.parse(err).code, "WORKSPACE_LOCKED")
      }),
    60_000
  )

  it.live("doctor says of a database of Agentlip v1 that a hub migrates it, and advises no restore", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const run = commandsOf(workspace)
      yield* run("init")
      const file = path.join(workspace, ".agentlip", "db.sqlite3")
      const db = new DatabaseSync(file)
      for (const table of ["meta (key, value)", "channels (id)", "messages (id)", "topic_attachments (id)"]) {
        db.exec(`CREATE TABLE ${table}`)
      }
      db.close()
      const { code, out } = yield* run("doctor")
      assert.strictEqual(code, 1)
      assert.match(
        out,
        /problem +database: .*Agentlip v1, not migrated yet.*\n +→ A hub migrates it when it starts/
      )
      assert.notInclude(out, "restore")
    })
  )

  it.live("down leaves other processes alone, whatever number a stale file has", () =>
    Effect.gen(function* () {
      // The hub is in this process: a signal would end the test.
      const hub = yield* startHub()
      const run = commandsOf(hub.workspace)
      const file = path.join(hub.workspace, ".agentlip", "locks", "writer.lock")
      const lock = JSON.parse(fs.readFileSync(file, "utf8"))
      for (const wrong of [{ process_start: "1" }, { instance_id: "another" }, { pid: process.ppid }]) {
        fs.writeFileSync(file, JSON.stringify({ ...lock, ...wrong }))
        const { code, err } = yield* run("down")
        assert.strictEqual(code, 1)
        assert.include(err, "stop it where it runs")
      }
      fs.writeFileSync(file, JSON.stringify(lock))
    })
  )

  it.live(
    "doctor names what is wrong and the remedy",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const run = commandsOf(workspace)
        const nothing = yield* run("doctor")
        assert.strictEqual(nothing.code, 0, nothing.out)
        assert.match(nothing.out, /warning +workspace: .*no \.agentlip\/ yet\n +→ create it: .* init/)
        assert.match(nothing.out, /warning +config: /)

        yield* run("init")
        const folder = path.join(workspace, ".agentlip")
        const server = {
          instance_id: "i",
          db_id: "d",
          host: "127.0.0.1",
          port: 1,
          auth_token: "secret-token",
          pid: 1,
          started_at: "then"
        }
        fs.writeFileSync(path.join(folder, "server.json"), JSON.stringify(server), { mode: 0o600 })
        yield* Layer.build(WriterLock.layer.pipe(Layer.provide(Workspace.layer(workspace))))
        fs.writeFileSync(path.join(folder, "db.sqlite3"), "no database ".repeat(1000))
        fs.chmodSync(folder, 0o755)
        fs.writeFileSync(path.join(workspace, "plugins", "hashtags.ts"), "export default {")
        const { code, out, err } = yield* run("doctor")
        assert.strictEqual(code, 1)
        assert.strictEqual(err, "agentlip: There are 4 problems; see above\n")
        for (const expected of [
          /problem +workspace: .*open to others \(mode 755\)\n +→ chmod 700 /,
          /warning +hub: No hub runs on .*\n +→ .* up .*writes a new server\.json/,
          /problem +lock: process \d+ holds the workspace since .* but does not answer\n +→ .*kill/,
          /problem +database: .*\n +→ .*restore/,
          /problem +plugin hashtags: LOAD_ERROR/
        ]) {
          assert.match(out, expected)
        }
        assert.notInclude(out, "secret-token")
      }),
    60_000
  )
})
