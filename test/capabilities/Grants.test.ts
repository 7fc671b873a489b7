/** Grants of the network and the environment, declared capabilities and audits: on every level, through real servers. */
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Logger, type Scope } from "effect"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { PluginError, PluginErrorCode } from "../../src/Errors.ts"
import { moduleIntegrity } from "../../src/integrity.ts"
import type { PluginSpecOptions } from "../../src/Plugin.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"
import { dataOf, failing, temporary, write } from "../support/plugins.ts"
import { layerRuntime, type Level, levels, message, specOn } from "../support/isolation.ts"

const good = (file: string): string => fileURLToPath(new URL(`../fixtures/good/${file}`, import.meta.url))

/** A server on this machine, for as long as the test runs. */
const serve = (
  handle: http.RequestListener
): Effect.Effect<{ readonly port: number; readonly url: string }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise<http.Server>(
      () =>
        new Promise((resolve) => {
          const server = http.createServer(handle)
          server.listen(0, "127.0.0.1", () => resolve(server))
        })
    ),
    (server) =>
      Effect.promise(
        () =>
          new Promise((resolve) => {
            server.close(resolve)
            server.closeAllConnections()
          })
      )
  ).pipe(
    Effect.map((server) => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      return { port, url: `http://127.0.0.1:${port}` }
    })
  )

/** Answers what it was asked. */
const echo: http.RequestListener = (request, response) => {
  let body = ""
  request.on("data", (chunk: Buffer) => (body += chunk.toString()))
  request.on("end", () => response.end(`${request.method} ${request.url} ${body}`))
}

/** What a run that is to fail says. */
const refusal = <A, R>(effect: Effect.Effect<A, PluginError, R>, code: PluginErrorCode) =>
  Effect.map(failing(effect, code), ({ message }) => message)

type Options = Partial<PluginSpecOptions<typeof linkifier>>

const onLevel = (level: Level): void => {
  const run = (ask: string, options: Options = {}) =>
    Effect.flatMap(PluginRuntime, (runtime) =>
      runtime.run(
        specOn(level, { name: "reaches", kind: linkifier, modulePath: good("reaches.ts"), ...options }),
        {
          message: { ...message, content_raw: ask }
        }
      )
    )
  type Live = (
    name: string,
    test: Effect.Effect<void, unknown, PluginRuntime | WorkerLayer | Scope.Scope>
  ) => void
  const block = (name: string, tests: (live: Live) => void) =>
    layer(layerRuntime(), { excludeTestServices: true })(`on ${level.name}: ${name}`, ({ effect }) =>
      tests((name, test) => effect(name, () => test))
    )

  block("the network", (live) => {
    live(
      "a granted host is reached, by the context's fetch and the global one",
      Effect.gen(function* () {
        const { port, url } = yield* serve(echo)
        const grants = { net: [`127.0.0.1:${port}`] }
        assert.deepStrictEqual(dataOf(yield* run(`fetch ${url}/a?b`, { grants })), {
          status: 200,
          text: "POST /a?b héllo",
          url: `${url}/a?b`
        })
        assert.deepStrictEqual(dataOf(yield* run(`global ${url}/`, { grants })), {
          same: true,
          text: "GET / "
        })
      })
    )

    live(
      "no other is, and the plugin is told what it would take",
      Effect.gen(function* () {
        let asked = 0
        const { port, url } = yield* serve((_, response) => {
          asked++
          response.end()
        })
        const text = yield* refusal(run(`fetch ${url}/`), "EXECUTION_ERROR")
        assert.include(text, `grants.net: ["127.0.0.1:${port}"]`)
        yield* refusal(
          run(`fetch ${url}/`, { grants: { net: ["127.0.0.1:1", "localhost:80"] } }),
          "EXECUTION_ERROR"
        )
        assert.strictEqual(asked, 0)
      })
    )

    live(
      "a redirect leads no further than a request",
      Effect.gen(function* () {
        let asked = 0
        const hidden = yield* serve((_, response) => {
          asked++
          response.end("secret")
        })
        const open = yield* serve((_, response) => response.writeHead(302, { location: hidden.url }).end())
        const text = yield* refusal(
          run(`fetch ${open.url}/`, { grants: { net: [`127.0.0.1:${open.port}`] } }),
          "EXECUTION_ERROR"
        )
        assert.include(text, `127.0.0.1:${hidden.port}`)
        assert.strictEqual(asked, 0)
      })
    )

    live(
      "a large body comes in pieces, and over limits.fetchBytes not at all",
      Effect.gen(function* () {
        const { port, url } = yield* serve((_, response) => response.end(Buffer.alloc(1_000_000, 97)))
        const grants = { net: [`127.0.0.1:${port}`] }
        assert.deepStrictEqual(dataOf(yield* run(`stream ${url}/`, { grants })), { bytes: 1_000_000 })
        const text = yield* refusal(
          run(`stream ${url}/`, { grants, limits: { fetchBytes: 999_999 } }),
          "EXECUTION_ERROR"
        )
        assert.include(text, "999999")
      })
    )

    live(
      "requests end with the run that made them",
      Effect.gen(function* () {
        const closed = yield* Deferred.make<void>()
        const { port, url } = yield* serve((request, response) => {
          if (request.url !== "/never") return response.end()
          return request.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        })
        const grants = { net: [`127.0.0.1:${port}`] }
        assert.deepStrictEqual(dataOf(yield* run(`forget ${url}/never`, { grants })), { forgot: true })
        yield* Effect.timeout(Deferred.await(closed), "5 seconds")
      })
    )

    live(
      "the signal that is aborted at the deadline ends a fetch within the grace",
      Effect.gen(function* () {
        const { port, url } = yield* serve(() => {})
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          lines.push(String(message))
        })
        yield* refusal(
          run(`until-aborted ${url}/`, {
            grants: { net: [`127.0.0.1:${port}`] },
            // Time enough to be loaded and to ask on a busy machine.
            timeout: 1_000,
            grace: "5 seconds"
          }).pipe(Effect.provide(Logger.layer([logger]))),
          "TIMEOUT"
        )
        assert.deepStrictEqual(lines, ["ended with AbortError"])
      })
    )
  })

  block("the environment", (live) => {
    live(
      "a granted variable is seen, and no other",
      Effect.gen(function* () {
        process.env["GRANTS_TEST"] = "seen"
        process.env["GRANTS_SECRET"] = "hidden"
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            delete process.env["GRANTS_TEST"]
            delete process.env["GRANTS_SECRET"]
          })
        )
        const grants = { env: ["GRANTS_TEST", "GRANTS_UNSET"] }
        assert.deepStrictEqual(dataOf(yield* run("env GRANTS_TEST", { grants })), {
          value: "seen",
          all: "GRANTS_TEST"
        })
        assert.isNull(dataOf(yield* run("env GRANTS_SECRET", { grants }))["value"])
        assert.isNull(dataOf(yield* run("env GRANTS_TEST"))["value"])
      })
    )

    live(
      "the hub's own cannot be granted",
      Effect.map(refusal(run("env X", { grants: { env: ["AGENTLIP_TOKEN"] } }), "LOAD_ERROR"), (text) =>
        assert.include(text, "AGENTLIP_TOKEN")
      )
    )
  })

  if (level.isolation !== "wasm") {
    block("granted files", (live) => {
      /** A spec is kept: what its grants stand for is found out once. */
      const reader = (granted: string) => {
        const spec = specOn(
          { ...level, reuse: "never" },
          { name: granted, kind: linkifier, modulePath: good("files.ts"), grants: { read: [granted] } }
        )
        return (file: string) =>
          Effect.flatMap(PluginRuntime, (runtime) =>
            runtime.run(spec, { message: { ...message, content_raw: `read ${file}` } })
          )
      }

      live(
        "a granted folder that becomes a link, or a file that becomes a folder, is not followed",
        Effect.gen(function* () {
          const folder = yield* temporary
          const data = path.join(folder, "data")
          const secret = write(path.join(folder, "elsewhere", "notes.txt"), "secret")
          const notes = write(path.join(data, "notes.txt"), "notes")
          const list = write(path.join(folder, "list"), "list")
          const readData = reader(data)
          const readList = reader(list)
          assert.strictEqual(dataOf(yield* readData(notes))["text"], "notes")
          assert.strictEqual(dataOf(yield* readList(list))["text"], "list")

          fs.renameSync(data, `${data}-before`)
          fs.symlinkSync(path.dirname(secret), data)
          const moved = yield* refusal(readData(notes), "LOAD_ERROR")
          assert.include(moved, `grants.read "${data}/" has changed since it was granted`)
          assert.include(moved, path.dirname(secret))
          fs.rmSync(list)
          write(path.join(list, "inner"), "secret")
          assert.include(
            yield* refusal(readList(path.join(list, "inner")), "LOAD_ERROR"),
            `it leads to ${list}/ now`
          )
          fs.rmSync(data)
          assert.include(yield* refusal(readData(notes), "LOAD_ERROR"), "is gone")

          fs.renameSync(`${data}-before`, data)
          assert.strictEqual(dataOf(yield* readData(notes))["text"], "notes")
        })
      )
    })
  }

  // Both are asked as a plugin is loaded, however long its isolate lives.
  if (level.reuse === "plugin") {
    block("declared capabilities", (live) => {
      const declaring = (capabilities: string) =>
        `export default { name: "declares", version: "1.0.0", capabilities: ${capabilities}, enrich: () => [] }`

      live(
        "what is declared and not granted is LOAD_ERROR, with the lines to paste",
        Effect.gen(function* () {
          const file = write(
            path.join(yield* temporary, "declares.mjs"),
            declaring('{ net: ["api.example.com", "b.example.org:8080"], env: ["TOKEN"] }')
          )
          const declares = { name: "declares", modulePath: file }
          const text = yield* refusal(run("x", declares), "LOAD_ERROR")
          for (const part of ["api.example.com", "b.example.org:8080", "TOKEN", "grants: {"]) {
            assert.include(text, part)
          }
          const partly = yield* refusal(
            run("x", { ...declares, grants: { net: ["*.example.com"], env: ["TOKEN"] } }),
            "LOAD_ERROR"
          )
          assert.include(partly, "b.example.org:8080")
          const granted = { net: ["*.example.com", "b.example.org:*"], env: ["TOKEN"] }
          assert.deepStrictEqual(yield* run("x", { ...declares, grants: granted }), [])
        })
      )

      for (const lie of [
        "7",
        '"net"',
        "{ net: 7 }",
        "{ net: [7] }",
        '{ everything: ["x"] }',
        '{ net: ["//"] }'
      ]) {
        live(
          `${lie} is LOAD_ERROR`,
          Effect.gen(function* () {
            const file = write(path.join(yield* temporary, "declares.mjs"), declaring(lie))
            const text = yield* refusal(run("x", { name: "declares", modulePath: file }), "LOAD_ERROR")
            assert.include(text, "capabilities")
          })
        )
      }
    })

    block("integrity", (live) => {
      live(
        "a plugin runs as it was hashed, and neither changed nor with more than was hashed",
        Effect.gen(function* () {
          const folder = yield* temporary
          const part = write(path.join(folder, "part.mjs"), "export const part = 1")
          write(path.join(folder, "other.mjs"), "export const part = 2")
          const modulePath = write(
            path.join(folder, "plugin.mjs"),
            `import { part } from "./part.mjs"
          const load = async (name) => (await import("./" + name)).part
          export default {
            enrich: async ({ message: { content_raw: asked } }) =>
              [{ kind: "part", span: { start: 0, end: 1 }, data: { part: asked === "part" ? part : await load(asked) } }]
          }`
          )
          const integrity = yield* moduleIntegrity(modulePath)
          const pinned = { name: "pinned", modulePath, integrity }
          assert.deepStrictEqual(dataOf(yield* run("part", pinned)), { part: 1 })
          assert.include(yield* refusal(run("other.mjs", pinned), "EXECUTION_ERROR"), "integrity")
          assert.deepStrictEqual(dataOf(yield* run("other.mjs", { name: "loose", modulePath })), { part: 2 })

          fs.writeFileSync(part, "export const part = 3")
          const changed = yield* refusal(run("part", { ...pinned, name: "changed" }), "LOAD_ERROR")
          assert.include(changed, integrity)
          assert.include(changed, yield* moduleIntegrity(modulePath))
          assert.include(changed, "agentlip plugin integrity")
        })
      )
    })
  }

  block("audit", (live) => {
    live(
      "hosts that are not granted are let through and reported as the grants they would take",
      Effect.gen(function* () {
        const { port, url } = yield* serve(echo)
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          lines.push(String(message))
        })
        // A private address stays closed; that it would take a grant is reported all the same.
        for (const path of ["first", "second"]) {
          yield* refusal(
            run(`fetch ${url}/${path}`, { enforcement: "audit" }).pipe(
              Effect.provide(Logger.layer([logger]))
            ),
            "EXECUTION_ERROR"
          )
        }
        const { audits } = yield* WorkerLayer
        assert.deepStrictEqual((yield* audits).get("reaches"), {
          read: [],
          write: [],
          net: [`127.0.0.1:${port}`],
          env: []
        })
        assert.lengthOf(lines, 1, "one warning for all uses of a host")
        assert.include(lines[0], "grants.net")
      })
    )

    if (level.isolation === "wasm") return
    live(
      "files that are not granted are let through and reported, but for the hub's own",
      Effect.gen(function* () {
        const folder = yield* temporary
        const token = write(path.join(folder, ".agentlip", "server.json"), "secret")
        const file = write(path.join(folder, "notes.txt"), "notes")
        fs.symlinkSync(path.dirname(token), path.join(folder, "innocent"))
        const read = (what: string) =>
          run(`read ${what}`, { name: "files", modulePath: good("files.ts"), enforcement: "audit" }).pipe(
            Effect.provide(Logger.layer([]))
          )
        assert.strictEqual(dataOf(yield* read(file))["text"], "notes")
        for (const what of [
          token,
          path.join(folder, "innocent", "server.json"),
          `${folder}/x/../.AgentLip/server.json`
        ]) {
          assert.notInclude(yield* refusal(read(what), "EXECUTION_ERROR"), "secret")
        }
        const { audits } = yield* WorkerLayer
        assert.deepStrictEqual((yield* audits).get("files")?.read, [file])
      })
    )

    live(
      "what is the hub's stays closed, whatever a plugin patches and by whatever name it asks",
      Effect.gen(function* () {
        const folder = yield* temporary
        const token = write(path.join(folder, ".agentlip", "server.json"), "secret")
        fs.chmodSync(path.dirname(token), 0o777)
        const tries: ReadonlyArray<readonly [name: string, attempt: string]> = [
          ["patches", `RegExp.prototype.exec = () => null; return fs.readFileSync("${token}", "utf8")`],
          ["tests", `RegExp.prototype.test = () => false; return fs.readFileSync("${token}", "utf8")`],
          [
            "copies",
            `String.prototype.startsWith = () => false; fs.copyFileSync("${token}", "${folder}/copy")`
          ],
          ["lists", `return fs.readdirSync("${folder}", { recursive: true }).join()`],
          ["removes", `fs.rmSync("${folder}/.", { recursive: true, force: true })`],
          [
            "pretends",
            `fs.rmSync("${folder}", new Proxy({}, { has: () => false, get: (_, key) => key === "recursive" || key === "force" }))`
          ],
          ["moves", `fs.renameSync("${folder}/.agentlip/..", "${folder}-moved")`],
          ["environs", 'return fs.readFileSync("/proc/self/environ", "utf8")']
        ]
        for (const [name, attempt] of tries) {
          const modulePath = write(
            path.join(folder, "plugins", `${name}.mjs`),
            `import * as fs from "node:fs"
            const attempt = () => { ${attempt} }
            export default { enrich: () => [{ kind: "x", span: { start: 0, end: 1 }, data: { got: String(attempt()) } }] }`
          )
          const tried = run("x", { name, modulePath, enforcement: "audit" })
          const text = yield* refusal(tried.pipe(Effect.provide(Logger.layer([]))), "EXECUTION_ERROR")
          assert.include(text, "Access denied", name)
          assert.strictEqual(fs.readFileSync(token, "utf8"), "secret", name)
        }
      })
    )
  })
}

for (const level of levels) onLevel(level)
