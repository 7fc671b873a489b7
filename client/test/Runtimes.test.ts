/** The client on the oldest Node it supports, on Bun and in browsers: bundled, so that all that it loads is known. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { rolldown } from "rolldown"
import { startHub, tempWorkspace } from "../../hub/test/testHub.ts"
import { root } from "../../hub/test/hubProcess.ts"

const execute = promisify(execFile)
const source = (name: string): string => fileURLToPath(new URL(`../src/${name}`, import.meta.url))

/** An entry of the client with everything that it loads, as one text. */
const bundle = (name: string, platform: "node" | "browser") =>
  Effect.promise(async () => {
    const build = await rolldown({
      input: source(name),
      platform,
      resolve: { conditionNames: ["@agentlip/source", "import", platform, "default"] }
    })
    const { output } = await build.generate({ format: "esm" })
    await build.close()
    const [{ code, moduleIds }] = output
    return { code, modules: moduleIds.map((id) => path.relative(root, id)) }
  })

const program = `
import { connect, isEvent } from "./client.mjs"
const hub = await connect({ workspace: process.argv[2] })
const { channel } = await hub.createChannel({ payload: { name: "from " + process.argv[3] } })
const seen = []
for await (const event of hub.follow({ after: 0, channels: [channel.id] })) {
  if (isEvent(event, "channel.created")) seen.push(event.data.channel.name)
  if (isEvent(event, "topic.created")) break
  await hub.createTopic({ payload: { channel_id: channel.id, title: "t" } })
}
console.log(JSON.stringify({ seen, channels: (await hub.channels()).channels.length }))
`

/** Runtimes beside the one that runs the tests, by their names; those that are missing here are skipped. */
const oldNode = (process.env["PATH"] ?? "")
  .split(path.delimiter)
  .filter((folder) => !folder.includes("node_modules"))
  .map((folder) => path.join(folder, "node"))
  .find((file) => fs.existsSync(file))
const runtimes: ReadonlyArray<readonly [name: string, file: string | undefined]> = [
  ["the Node that runs the tests", process.execPath],
  ["the Node on the PATH", oldNode],
  ["Bun", process.env["AGENTLIP_TEST_BUN"]]
]

describe("The client", () => {
  it.live("loads nothing of Effect, and on Node one package", () =>
    Effect.gen(function* () {
      const { code, modules } = yield* bundle("Node.ts", "node")
      assert.notMatch(code, /from "(?!node:)/)
      const packages = new Set(
        modules
          .filter((id) => id.startsWith("node_modules/"))
          .map((id) => id.split("/").slice(1, 2).join("/"))
      )
      assert.deepStrictEqual([...packages], ["eventsource-parser"])
      assert.includeMembers(modules, ["protocol/src/Proof.ts", "protocol/src/ServerFile.ts"])
    })
  )

  it.live("needs nothing of Node in browsers, as Effects neither", () =>
    Effect.gen(function* () {
      for (const name of ["index.ts", "Effect.ts"]) {
        const { code, modules } = yield* bundle(name, "browser")
        assert.notMatch(code, /^import /m, name)
        assert.notInclude(code, "node:fs", name)
        assert.isFalse(modules.some((id) => id.startsWith("client/src/node/")))
      }
    })
  )

  for (const [name, file] of runtimes) {
    it.live.skipIf(file === undefined)(
      `finds a hub, calls it and follows its events on ${name}`,
      () =>
        Effect.gen(function* () {
          const folder = yield* tempWorkspace
          const { code } = yield* bundle("Node.ts", "node")
          fs.writeFileSync(path.join(folder, "client.mjs"), code)
          fs.writeFileSync(path.join(folder, "program.mjs"), program)
          const hub = yield* startHub({ readAuth: true })
          const run = (workspace: string) =>
            Effect.promise(() =>
              execute(file ?? "", [path.join(folder, "program.mjs"), workspace, name]).catch(
                (error: { readonly stdout: string; readonly stderr: string }) => error
              )
            )
          const { stdout, stderr } = yield* run(hub.workspace)
          assert.strictEqual(stderr, "")
          assert.deepStrictEqual(JSON.parse(stdout), { seen: [`from ${name}`], channels: 1 })

          // A neighbour that repeats what the hub once said gets no token.
          const health = (yield* hub.get("/health?challenge=abcdefgh_-ABCDEFGH0123")).body
          const heard: Array<string> = []
          const server = http.createServer(({ headers }, response) => {
            heard.push(JSON.stringify(headers))
            response.setHeader("content-type", "application/json")
            response.end(JSON.stringify(health))
          })
          yield* Effect.acquireRelease(
            Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
            () => Effect.sync(() => server.close())
          )
          const address = server.address()
          const port = typeof address === "object" ? address?.port : undefined
          const fake = path.join(folder, "fake")
          fs.mkdirSync(path.join(fake, ".agentlip"), { recursive: true })
          const text = fs.readFileSync(path.join(hub.workspace, ".agentlip", "server.json"), "utf8")
          fs.writeFileSync(
            path.join(fake, ".agentlip", "server.json"),
            JSON.stringify({ ...JSON.parse(text), port })
          )
          const refused = yield* run(fake)
          assert.include(refused.stderr, "does not prove")
          assert.isNotEmpty(heard)
          for (const one of heard) assert.notInclude(one, hub.token)
        }),
      60_000
    )
  }
})
