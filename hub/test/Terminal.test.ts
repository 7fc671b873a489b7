/** No command prints a character that a terminal obeys or nobody sees, whatever a hub or a workspace holds. */
import { ExecutionError } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { commandsOf, start } from "./cli.ts"
import { hostile, hostileHub, rawly, writeServerFile } from "./hostileHub.ts"
import {
  jobsOf,
  eventually,
  extractorSpec,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace
} from "./testHub.ts"

const isClean = (text: string, what: string): void => {
  const found = rawly.exec(text)
  const near =
    found === null ? "" : JSON.stringify(text.slice(Math.max(0, found.index - 60), found.index + 20))
  assert.isNull(found, `${what} prints U+${found?.[0].codePointAt(0)?.toString(16)}: ${near}`)
}

/** And it does say what it was told, or nothing would be shown by that. */
const isEscaped = (text: string, what: string): void => {
  isClean(text, what)
  assert.include(text, "\\u202e", what)
}

const modes = [[], ["--json"]] as const

/** A hub with something of everything. */
const full = Effect.gen(function* () {
  const hub = yield* startHub({
    plugins: [linkifierSpec("urls"), extractorSpec("facts"), linkifierSpec("broken")],
    fakes: {
      urls: () => Effect.succeed([{ kind: "url", span: { start: 0, end: 3 }, data: { a: "b" } }]),
      facts: () => Effect.succeed([{ kind: "fact", key: "k", value_json: { a: "b" } }]),
      broken: () =>
        Effect.fail(new ExecutionError({ plugin: "broken", cause: { name: "Error", message: "it broke" } }))
    },
    breaker: { failureThreshold: 100 }
  })
  const { channel, topic } = yield* makeTopic(hub)
  const posted = yield* hub.post("/api/v1/messages", {
    topic_id: topic,
    sender: "ada",
    content_raw: "one two"
  })
  const message = String(posted.body.message.id)
  yield* jobsOf(hub, message)
  return { hub, channel: channel + hostile, topic: topic + hostile, message: message + hostile }
})

const commandsFor = ({ channel, topic, message }: { channel: string; topic: string; message: string }) => [
  ["status"],
  ["channel", "list"],
  ["topic", "list", channel],
  ["msg", "list", topic],
  ["msg", "list", "--channel", channel],
  ["msg", "show", message],
  ["attachment", "list", topic],
  ["job", "list", "--state", "failed", "--state", "committed"],
  ["plugin", "list"]
]

describe("what a hub says", { timeout: 120_000 }, () => {
  it.live("is escaped in tables and JSON", () =>
    Effect.gen(function* () {
      const found = yield* full
      const run = commandsOf(yield* hostileHub(found.hub))
      for (const command of commandsFor(found)) {
        for (const mode of modes) {
          const what = [...command.slice(0, 2), ...mode].join(" ")
          const { code, out, err } = yield* run(...command, ...mode)
          assert.strictEqual(code, 0, `${what}: ${err}`)
          isEscaped(out, what)
          isClean(err, what)
          // It means what it meant.
          if (mode.length > 0)
            assert.include(JSON.stringify(JSON.parse(out)), JSON.stringify(hostile).slice(1, -1))
        }
      }
    })
  )

  it.live("is escaped in lines that do not end", () =>
    Effect.gen(function* () {
      const found = yield* full
      const workspace = yield* hostileHub(found.hub)
      for (const command of [
        ["listen", "--since", "0", "--text"],
        ["listen", "--since", "0", "--json"],
        ["listen", found.topic, "--since", "0", "--text"],
        ["msg", "tail", found.topic, "--follow"],
        ["msg", "tail", found.topic, "--follow", "--json"]
      ]) {
        const what = command.map((word) => word.replace(found.topic, "TOPIC")).join(" ")
        const child = yield* start([...command, "--workspace", workspace])
        const isListen = command[0] === "listen"
        yield* eventually(
          Effect.sync(() => child.out() + child.err()),
          (text) => (isListen ? /it broke/ : /one two/).test(text) || child.process.exitCode !== null
        )
        isEscaped(child.out(), what)
        isClean(child.err(), what)
      }
    })
  )

  for (const mood of ["refuses", "refuses all", "babbles"] as const) {
    it.live(`is escaped in errors, of a hub that ${mood}`, () =>
      Effect.gen(function* () {
        const found = yield* full
        const workspace = yield* hostileHub(found.hub, mood)
        const run = commandsOf(workspace)
        const writes = [
          ["channel", "create", hostile],
          ["plugin", "reset", hostile],
          ["job", "retry"],
          ["msg", "edit", found.message, "x"],
          // Without `now` it would wait for a hub that sends events.
          ["listen", "--since", "now"],
          ["msg", "tail", found.topic],
          ["down"]
        ]
        for (const command of [...commandsFor(found), ...writes]) {
          for (const mode of modes) {
            const what = [mood, ...command.slice(0, 2), ...mode].join(" ")
            const { code, out, err } = yield* run(...command, ...mode)
            isClean(out + err, what)
            if (mood === "refuses" && command[0] !== "down") {
              assert.notStrictEqual(code, 0, what)
              isEscaped(err, what)
            }
          }
        }
      })
    )
  }

  it.live("is escaped where a command names what there is not", () =>
    Effect.gen(function* () {
      const { hub } = yield* full
      const run = commandsOf(hub.workspace)
      for (const command of [
        ["topic", "list", hostile],
        ["msg", "list", `general/${hostile}`],
        ["msg", hostile],
        ["channel", "list", `--${hostile}`],
        ["msg", "edit", "x", "y", "--expected-version", hostile],
        ["job", "list", "--state", hostile],
        ["plugin", "trip", hostile],
        ["plugin", "run", "none.mjs", "--text", "x", "--config", `{${hostile}`],
        ["plugin", "run", "none.mjs", "--text", "x", "--config", `@${hostile}`]
      ]) {
        for (const mode of modes) {
          const { code, out, err } = yield* run(...command, ...mode)
          assert.notStrictEqual(code, 0)
          isClean(out + err, JSON.stringify([...command, ...mode]))
        }
      }
    })
  )
})

// A name that the file system takes: it has no slash, and is not too long.
const hostileName = `p${hostile}.mjs`

const source = `
  const hostile = ${JSON.stringify(hostile)}
  export default { name: "p" + hostile, version: "1" + hostile,
    enrich({ message, config }) {
      console.log("log " + hostile)
      if (message.content_raw.startsWith("throw")) throw Object.assign(new Error("failed " + hostile), { name: "E" + hostile })
      if (message.content_raw.startsWith("bad")) return [{ kind: hostile, ["x" + hostile]: 1 }]
      return [{ kind: "k" + hostile, span: { start: 0, end: 4 }, data: { ["key" + hostile]: hostile } }]
    } }`

describe("what a workspace holds", { timeout: 120_000 }, () => {
  it.live("is escaped when a plugin runs, is checked or hashed", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const run = commandsOf(workspace)
      const file = path.join(workspace, hostileName)
      const broken = path.join(workspace, `broken${hostileName}`)
      fs.writeFileSync(file, source)
      fs.writeFileSync(
        broken,
        `import "./no${hostile.replaceAll(/[\r\u2028\u2029]/g, "")}.mjs"\nexport default {}`
      )
      const text = ["--isolation", "thread", "--text"]
      for (const command of [
        ["plugin", "run", file, ...text, `fine ${hostile}`],
        ["plugin", "run", file, ...text, `throw ${hostile}`],
        ["plugin", "run", file, ...text, `bad ${hostile}`],
        ["plugin", "run", broken, ...text, "x"],
        ["plugin", "run", path.join(workspace, `none${hostileName}`), ...text, "x"],
        ["plugin", "check", file],
        ["plugin", "check", broken],
        ["plugin", "integrity", file]
      ]) {
        for (const mode of modes) {
          const { out, err } = yield* run(...command, ...mode)
          isEscaped(out + err, JSON.stringify([...command.slice(0, 2), command.at(-1), ...mode]))
        }
      }
    })
  )

  it.live("is escaped by doctor and by commands that find no hub", () =>
    Effect.gen(function* () {
      const configs = [
        `throw Object.assign(new Error(${JSON.stringify(hostile)}), { name: ${JSON.stringify(hostile)} })`,
        `export default { ${JSON.stringify(`key${hostile}`)}: 1 }`,
        `export default { linkifiers: [{ name: ${JSON.stringify(hostile)}, modulePath: "./x.mjs" }] }`,
        `export default { linkifiers: [{ name: "x", modulePath: ${JSON.stringify(`./x${hostile}.mjs`)}, isolation: "thread" }] }`,
        `export default { linkifiers: [{ name: "x", modulePath: ${JSON.stringify(`./${hostileName}`)}, isolation: "thread" }] }`
      ]
      for (const [at, config] of configs.entries()) {
        const workspace = path.join(yield* tempWorkspace, `w${hostile}`)
        fs.mkdirSync(workspace, { mode: 0o700 })
        fs.writeFileSync(path.join(workspace, hostileName), source)
        fs.writeFileSync(path.join(workspace, "agentlip.config.ts"), config)
        const server = {
          instance_id: hostile,
          db_id: hostile,
          host: at % 2 === 0 ? hostile : "127.0.0.1",
          port: 1,
          auth_token: hostile,
          pid: 1,
          started_at: hostile
        }
        writeServerFile(workspace, server)
        const run = commandsOf(workspace)
        for (const command of [
          ["doctor"],
          ["status"],
          ["channel", "list"],
          ["plugin", "check"],
          ["listen"]
        ]) {
          for (const mode of modes) {
            const { out, err } = yield* run(...command, ...mode)
            isEscaped(out + err, `${config.slice(0, 80)}: ${[...command, ...mode].join(" ")}`)
          }
        }
      }
    })
  )
})
