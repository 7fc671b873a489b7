/** What a plugin or a config says, wherever it is shown without the token: granted variables and configs are not in it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { redactorOf, Secrets, withoutSecrets } from "../src/plugins/Secrets.ts"
import { hubMain, root } from "./hubProcess.ts"
import { client, eventually, makeTopic, readServerFile, tempWorkspace } from "./testHub.ts"

const secret = "s3cr3t-Väl?ue/of+the&Variable"
const fromConfig = "cöNf1g-key/with+signs?and=more"
const secrets = [secret, fromConfig]

/** All that nobody without the token may read of it. */
const formsOf = (text: string) => {
  const bytes = Buffer.from(text)
  return [
    text,
    text.toUpperCase(),
    text.toLowerCase(),
    bytes.toString("base64"),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    bytes.toString("hex").toUpperCase(),
    encodeURIComponent(text)
  ]
}

const requireClean = (text: string, where: string) => {
  for (const form of secrets.flatMap(formsOf)) assert.notInclude(text, form, where)
}

/** JavaScript that says everything about a value in a text. */
const told = (value: string) =>
  `[${value}, ${value}.toUpperCase(), ${value}.toLowerCase(), Buffer.from(${value}).toString("base64"),
    Buffer.from(${value}).toString("base64url"), Buffer.from(${value}).toString("hex"),
    encodeURIComponent(${value}), JSON.stringify({ a: ${value} })].join(" ")`

const entry = {
  name: "leaky",
  modulePath: "./leaky.mjs",
  isolation: "thread",
  grants: { env: ["WORDS"] },
  config: { nested: [{ api: fromConfig }] }
}
const config = (...entries: ReadonlyArray<object>) =>
  `export default { linkifiers: ${JSON.stringify(entries)} }`

const good = `
  console.log("loading with " + ${told("process.env.WORDS")})
  export default {
    name: "leaky", version: "1.0.0 " + process.env.WORDS,
    enrich({ message, config }) {
      const key = config.nested[0].api
      console.warn("run with " + ${told("process.env.WORDS")} + ${told("key")})
      if (message.content_raw === "throw") throw new Error("marker " + ${told("process.env.WORDS")} + ${told("key")})
      if (message.content_raw === "name") throw Object.assign(new Error("marker"), { name: process.env.WORDS })
      return [{ kind: key, span: { start: 0, end: 9999 }, data: {} }]
    }
  }`
const broken = `throw new Error("marker " + ${told("process.env.WORDS")})`

const environment = { WORDS: secret, DEPLOY_TOKEN: "deploy-token-of-the-hub" }

const command = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [hubMain, ...args], {
        cwd: root,
        env: { ...process.env, ...environment },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let output = ""
      child.stdout.on("data", (chunk) => (output += chunk))
      child.stderr.on("data", (chunk) => (output += chunk))
      const ended = once(child, "close")
      return { child, output: () => output, ended: Effect.promise(() => ended) }
    }),
    ({ child, ended }) =>
      Effect.andThen(
        Effect.sync(() => child.kill("SIGKILL")),
        ended
      )
  )

const makeWorkspace = (module: string, file: string = config(entry)) =>
  Effect.map(tempWorkspace, (workspace) => {
    fs.writeFileSync(path.join(workspace, "leaky.mjs"), module)
    fs.writeFileSync(path.join(workspace, "agentlip.config.mjs"), file)
    return workspace
  })

const running = Effect.fnUntraced(function* (module: string, format: string) {
  const workspace = yield* makeWorkspace(module)
  const hub = yield* command("up", "--workspace", workspace, "--log-format", format)
  const says = (text: string) => eventually(Effect.sync(hub.output), (output) => output.includes(text))
  yield* says("leaky")
  yield* eventually(Effect.sync(hub.output), (output) =>
    /(ok|failed) +linkifier leaky|plugin (not )?loaded/.test(output)
  )
  const { port, auth_token } = readServerFile(workspace)
  const api = client(`http://127.0.0.1:${port}`, auth_token)
  const save = (name: string, text: string) => fs.writeFileSync(path.join(workspace, name), text)
  return { workspace, hub, api, save, says }
})

describe.concurrent("what a plugin was told", () => {
  for (const format of ["text", "json"]) {
    it.live(
      `is in no answer without the token, no event and no log (${format})`,
      () =>
        Effect.gen(function* () {
          const { hub, api, save, says } = yield* running(good, format)
          const { topic } = yield* makeTopic(api)
          for (const content_raw of ["throw", "name", "invalid"]) {
            yield* api.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
          }
          const failed = yield* eventually(
            api.get("/api/v1/events?limit=100"),
            ({ body }) =>
              body.events.filter(({ name }: { name: string }) => name === "plugin.failed").length === 3
          )
          // A changed module that does not load, and an entry that does not either.
          save("leaky.mjs", broken)
          yield* says("marker")
          yield* eventually(api.get("/api/v1/plugins"), ({ body }) => body.plugins[0].outdated !== null)
          const outdated = yield* api.get("/api/v1/plugins")
          assert.include(outdated.body.plugins[0].outdated.message, "marker")
          assert.include(outdated.body.plugins[0].outdated.message, "[env WORDS]")
          save("other.mjs", broken)
          save("agentlip.config.mjs", config({ ...entry, modulePath: "./other.mjs" }))
          yield* says("Its entry in the config has changed and does not load")
          save(
            "agentlip.config.mjs",
            `throw new Error("config " + ${JSON.stringify(fromConfig)} + process.env.DEPLOY_TOKEN)`
          )
          yield* says("the config cannot be used")
          const problem = yield* api.get("/api/v1/plugins")
          assert.include(problem.body.config_problem, "[env DEPLOY_TOKEN]")
          assert.notInclude(problem.body.config_problem, environment.DEPLOY_TOKEN)

          const messages = failed.body.events.flatMap(
            ({ name, entity }: { name: string; entity: { id: string } }) =>
              name === "message.created" ? [entity.id] : []
          )
          const shown = [
            yield* api.get("/api/v1/plugins"),
            yield* api.get("/api/v1/plugins/leaky"),
            yield* api.get("/api/v1/jobs?state=failed"),
            yield* api.get("/api/v1/events?limit=1000"),
            ...(yield* Effect.forEach(messages, (id) =>
              api.get(`/api/v1/messages/${String(id)}/derivations`)
            ))
          ]
          for (const { body, status } of shown) {
            assert.strictEqual(status, 200)
            requireClean(JSON.stringify(body).replaceAll("\\\\", "\\"), "an answer")
          }
          const metrics = yield* Effect.promise(() =>
            fetch(`${readUrl(hub.output())}/metrics`).then((a) => a.text())
          )
          requireClean(metrics, "metrics")
          // The plugin's lines are there, without it.
          assert.include(hub.output(), "run with [env WORDS]")
          assert.include(hub.output(), "marker")
          requireClean(hub.output(), "the log")
          assert.notInclude(hub.output(), environment.DEPLOY_TOKEN)
        }),
      120_000
    )
  }

  it.live(
    "is not in a load report",
    () =>
      Effect.gen(function* () {
        for (const format of ["text", "logfmt"]) {
          const { hub } = yield* running(broken, format)
          assert.include(hub.output(), "marker")
          requireClean(hub.output(), "the load report")
        }
      }),
    60_000
  )

  it.live(
    "is not in what plugin check, plugin run and doctor print, if it is a variable or has a secret's name",
    () =>
      Effect.gen(function* () {
        const named = config({ ...entry, config: { nested: [{ api: "plain-setting" }], apiKey: fromConfig } })
        const module = good.replace("config.nested[0].api", "config.apiKey")
        const ok = yield* makeWorkspace(module, named)
        const bad = yield* makeWorkspace(broken, named)
        const commands = [
          ["plugin", "check", "--workspace", ok],
          ["plugin", "check", "--workspace", bad],
          ["plugin", "run", "--workspace", ok, "--plugin", "leaky", "--text", "throw"],
          ["plugin", "run", "--workspace", ok, "--plugin", "leaky", "--text", "throw", "--json"],
          ["plugin", "run", "--workspace", bad, "--plugin", "leaky", "--text", "throw", "--json"],
          ["doctor", "--workspace", bad]
        ]
        for (const args of commands) {
          const { output, ended } = yield* command(...args)
          yield* ended
          assert.match(output(), /marker|\[env WORDS\]/, args.join(" "))
          requireClean(output(), args.join(" "))
        }
      }),
    120_000
  )
})

const readUrl = (output: string): string => /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? ""

describe("a redactor", () => {
  const spec = { config: { key: fromConfig }, grants: { env: ["WORDS"] } }
  const { text } = redactorOf(spec, environment)

  it("finds a secret in every form, also inside of what else is encoded", () => {
    for (const value of secrets) {
      for (const form of formsOf(value)) assert.notInclude(text(`before ${form} after`), form)
      for (const around of ["", "u", "us", "user:", '{"a":"']) {
        for (const encoding of ["base64", "base64url"] as const) {
          const whole = Buffer.from(`${around}${value}${around}`).toString(encoding)
          assert.match(text(whole), /\[(env WORDS|config)\]/)
        }
      }
      const nested = JSON.stringify(JSON.stringify({ value }))
      assert.notInclude(text(nested), value)
    }
  })

  it("finds what has the characters of patterns, quotes and several lines", () => {
    const pem = "-----BEGIN KEY-----\nAbCdEfGhIjKl\n(mnopqr)[s]*$&\n-----END KEY-----"
    const { text } = redactorOf({ config: {}, grants: { env: ["PEM"] } }, { PEM: pem })
    assert.strictEqual(text(`x ${pem} y`), "x [env PEM] y")
    assert.strictEqual(text("x AbCdEfGhIjKl y (mnopqr)[s]*$& z"), "x [env PEM] y [env PEM] z")
    assert.strictEqual(text(JSON.stringify(pem)), '"[env PEM]"')
  })

  it.prop("leaves every other text as it is", [Schema.String], ([given]) => {
    assert.strictEqual(text(given), given)
  })

  it.prop(
    "takes any text for a secret, and any text to look through",
    [Schema.String.check(Schema.isMinLength(8)), Schema.String],
    ([value, around]) => {
      const clean = withoutSecrets(
        { config: { value }, grants: {} },
        {}
      )({ [around]: `${around}${value}${around}` })
      assert.notInclude(JSON.stringify(clean), JSON.stringify(value).slice(1, -1))
    }
  )

  it.effect("of a hub leaves the current folder as it is, though its variable sounds like a password", () =>
    Effect.gen(function* () {
      const { hub } = yield* Secrets
      assert.strictEqual(
        hub().text("/home/ada/chat/a.ts of hunter22-hunter22 and correct horse"),
        "/home/ada/chat/a.ts of [env DB_PWD] and [env pwd]"
      )
    }).pipe(
      Effect.provide(
        Secrets.layer([], {
          PWD: "/home/ada/chat",
          OLDPWD: "/home/ada/chat",
          DB_PWD: "hunter22-hunter22",
          pwd: "correct horse"
        })
      )
    )
  )

  it.effect("of a hub knows the secrets of all its plugins, and those that it learns", () =>
    Effect.gen(function* () {
      const { learn, of, hub } = yield* Secrets
      assert.strictEqual(hub().text(`${secret} deploy-token-of-the-hub`), `${secret} [env DEPLOY_TOKEN]`)
      learn([{ ...spec, name: "one" } as never])
      assert.strictEqual(hub().text(secret), "[env WORDS]")
      assert.strictEqual(of("one").text(`${secret} ${fromConfig}`), "[env WORDS] [config]")
      // Another plugin's settings are no secret to it, unless their name says so.
      learn([{ config: { mode: "production", password: "correct horse" }, grants: {}, name: "two" } as never])
      assert.strictEqual(of("one").text("production"), "production")
      assert.strictEqual(of("one").text("correct horse"), "[config]")
      assert.strictEqual(of("two").text("production"), "[config]")
    }).pipe(Effect.provide(Secrets.layer([], environment)))
  )
})
