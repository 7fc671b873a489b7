/** Commands make sure who is at the port of `server.json` before they tell it anything. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { createHmac } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import { commandsOf } from "./cli.ts"
import { type Json, startHub, tempWorkspace } from "./testHub.ts"

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

/** Whatever takes a hub's port; it keeps all that it is told. */
const impostor = (answer: (seen: Seen, response: http.ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const seen: Array<Seen> = []
      const server = http.createServer(async (request, response) => {
        let body = ""
        for await (const part of request) body += String(part)
        const { method = "", url = "", headers } = request
        seen.push({ method, url, headers, body })
        answer({ method, url, headers, body }, response)
      })
      server.on("upgrade", ({ method = "", url = "", headers }, socket) => {
        seen.push({ method, url, headers, body: "" })
        socket.destroy()
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const address = server.address()
      if (address === null || typeof address === "string") throw new Error("no port")
      return { server, seen, port: address.port }
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

const token = "5e".repeat(32)
const file = (port: number, more: object = {}) =>
  JSON.stringify({
    instance_id: "killed",
    db_id: "db",
    host: "127.0.0.1",
    port,
    auth_token: token,
    pid: process.pid,
    started_at: "2020-01-01T00:00:00.000Z",
    protocol_version: "v1",
    schema_version: 1,
    ...more
  })

const health = {
  status: "ok",
  instance_id: "killed",
  db_id: "db",
  schema_version: 1,
  protocol_version: "v1",
  pid: process.pid,
  uptime_seconds: 12.5
}

const put = (workspace: string, name: string, text: string) => {
  const target = path.join(workspace, ".agentlip", name)
  fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 })
  fs.writeFileSync(target, text, { mode: 0o600 })
}

const json = (response: http.ServerResponse, body: unknown) => {
  response.setHeader("content-type", "application/json")
  response.end(JSON.stringify(body))
}

const commands = [
  ["status"],
  ["channel", "list"],
  ["msg", "send", "general/hello", "the plan is secret"],
  ["msg", "list", "general/hello"],
  ["listen", "--since", "0"],
  ["job", "retry"],
  ["down"]
]

describe("a process that took the hub's port", () => {
  const oldProof = createHmac("sha256", token).update("another challenge").digest("hex")
  const answers = {
    "repeats what /health said": health,
    "repeats a proof of before": { ...health, proof: oldProof },
    "makes a proof up": { ...health, proof: "0".repeat(64) },
    "sends a proof of another length": { ...health, proof: "" }
  }
  for (const [what, body] of Object.entries(answers)) {
    const { exit, refusal } =
      "proof" in body ? { exit: 4, refusal: "INVALID_AUTH" } : { exit: 3, refusal: "NOT_THE_HUB" }
    it.live(`and ${what} gets neither token nor message`, () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const { seen, port } = yield* impostor((_, response) => json(response, body))
        put(workspace, "server.json", file(port))
        const run = commandsOf(workspace)
        for (const command of commands) {
          const { code, err } = yield* run(...command, "--json")
          assert.strictEqual(code, exit, err)
          assert.strictEqual(JSON.parse(err).code, refusal)
        }
        assert.strictEqual(seen.length, commands.length)
        const challenges = seen.map(({ url }) => new URL(url, "http://x").searchParams.get("challenge"))
        assert.strictEqual(new Set(challenges).size, commands.length)
        for (const { method, url, headers, body } of seen) {
          assert.strictEqual(`${method} ${url.replace(/\?.*/, "")}`, "GET /health")
          assert.isUndefined(headers.authorization)
          const all = JSON.stringify([url, headers, body])
          assert.notInclude(all, token)
          assert.notInclude(all, "secret")
        }
        const doctor = yield* run("doctor")
        assert.include(doctor.out, "does not prove that it is the hub")
      })
    )
  }

  it.live("and leads to another hub gets neither token nor message", () =>
    Effect.gen(function* () {
      const other = yield* startHub()
      const workspace = yield* tempWorkspace
      const { seen, port } = yield* impostor(({ url }, response) => {
        response.writeHead(307, { location: `${other.url}${url}` })
        response.end()
      })
      const { body } = yield* other.get("/health")
      put(workspace, "server.json", file(port, { instance_id: body.instance_id }))
      const { code } = yield* commandsOf(workspace)("msg", "send", "general/hello", "the plan is secret")
      assert.strictEqual(code, 3)
      assert.strictEqual(seen.length, 1)
    })
  )

  it.live("and passes the challenge on to the hub of another start gets nothing", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const hub = yield* startHub({ workspace })
      const real = fs.readFileSync(path.join(workspace, ".agentlip/server.json"), "utf8")
      const { seen, port } = yield* impostor(({ url }, response) => {
        void fetch(`${hub.url}${url}`)
          .then((answer) => answer.json())
          .then((answer: Json) => json(response, { ...answer, instance_id: "killed" }))
      })
      // Of a start before, whose token the hub went on to use.
      put(workspace, "server.json", JSON.stringify({ ...JSON.parse(real), port, instance_id: "killed" }))
      const { code, err } = yield* commandsOf(workspace)("channel", "create", "secret", "--json")
      assert.strictEqual(code, 4)
      assert.strictEqual(JSON.parse(err).code, "INVALID_AUTH")
      assert.strictEqual(seen.length, 1)
      put(workspace, "server.json", real)
      assert.strictEqual((yield* commandsOf(workspace)("channel", "create", "secret")).code, 0)
    })
  )

  it.live("has no say in which process `down` stops", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const innocent = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["600"])),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const { pid } = innocent
      const { port } = yield* impostor((_, response) =>
        json(response, { ...health, pid, proof: "0".repeat(64) })
      )
      put(workspace, "server.json", file(port, { pid }))
      const holder = {
        pid,
        instance_id: "killed",
        process_start: null,
        started_at: "2020-01-01T00:00:00.000Z"
      }
      put(workspace, "locks/writer.lock", JSON.stringify(holder))
      const { code } = yield* commandsOf(workspace)("down")
      assert.strictEqual(code, 4)
      assert.isNull(innocent.exitCode)
      assert.isNull(innocent.signalCode)
      process.kill(Number(pid), 0)
    })
  )
})

describe("GET /health", () => {
  it.live("proves the token for a challenge, and says without one what it always said", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const plain = yield* hub.get("/health")
      assert.deepStrictEqual(Object.keys(plain.body).toSorted(), Object.keys(health).toSorted())
      const challenge = "abcdefgh_-ABCDEFGH0123"
      const { body } = yield* hub.get(`/health?challenge=${challenge}`)
      const expected = createHmac("sha256", hub.token)
        .update(`agentlip-health\n${challenge}\n${body.instance_id}\n${body.pid}`)
        .digest("hex")
      assert.strictEqual(body.proof, expected)
      assert.strictEqual((yield* hub.get("/health?anything=else")).status, 200)
      for (const bad of [
        "",
        "short",
        "x".repeat(129),
        "no%20spaces%20in%20here%20at%20all",
        "a%0Aaaaaaaaaaaaaaaaaaa"
      ]) {
        const refused = yield* hub.get(`/health?challenge=${bad}`)
        assert.strictEqual(refused.status, 400, bad)
        assert.strictEqual(refused.body.code, "INVALID_INPUT")
      }
    })
  )
})
