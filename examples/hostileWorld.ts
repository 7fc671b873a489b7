/** The surroundings of the hostile demo: its config, a watch of its process, and a server that counts stolen messages. */
import {
  type AgentlipConfig,
  CircuitBreaker,
  type IsolationLevel,
  linkifier,
  makeSpec,
  PluginRuntime,
  WorkerLayer
} from "@agentlip/plugin-runtime"
import { Clock, Effect, Layer } from "effect"
import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:http"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { Rogue } from "./hostile/gallery.ts"
import { alive, familyOf } from "./processes.ts"
import type { RunningHub } from "./runningHub.ts"
import goodPlugins from "./workspace/agentlip.config.ts"

const hostileFolder = fileURLToPath(new URL("./hostile", import.meta.url))

/** The number of good plugins. */
export const goodCount = goodPlugins.linkifiers.length + goodPlugins.extractors.length

/** Whether plugins can run on a level here, and if not, why. */
export const problemOf = (isolation: IsolationLevel) =>
  PluginRuntime.use((runtime) =>
    runtime.load(
      makeSpec({
        name: "probe",
        kind: linkifier,
        modulePath: path.join(hostileFolder, "spins.ts"),
        isolation
      })
    )
  ).pipe(
    Effect.as(undefined),
    Effect.provide(
      PluginRuntime.layer.pipe(
        Layer.provide(CircuitBreaker.layer()),
        Layer.provide(WorkerLayer.layer({ prepare: [] }))
      )
    ),
    Effect.catch((error) => Effect.succeed(error.message))
  )

/** A server for stolen messages. Returns how many it got. */
export const listener = Effect.acquireRelease(
  Effect.promise(async () => {
    let calls = 0
    const server = createServer((request, response) => {
      calls++
      request.resume()
      response.end()
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { url: `http://127.0.0.1:${port}/`, calls: () => calls, server }
  }),
  ({ server }) => Effect.sync(() => server.close())
)

/** The good plugins' config, and the rogues beside them. */
export const writeConfig = (workspace: string, rogues: ReadonlyArray<Rogue>, home: string): void => {
  fs.cpSync(hostileFolder, path.join(workspace, "hostile"), { recursive: true })
  const entries = (kind: Rogue["kind"]) =>
    rogues
      .filter((rogue) => rogue.kind === kind)
      .map(({ name, file, isolation, timeout }) => ({
        name,
        modulePath: `./hostile/${file}`,
        timeout,
        isolation,
        config: { home }
      }))
  const config: AgentlipConfig = {
    linkifiers: [...goodPlugins.linkifiers, ...entries("linkifier")],
    extractors: [...goodPlugins.extractors, ...entries("extractor")]
  }
  fs.writeFileSync(path.join(workspace, "agentlip.config.ts"), `export default ${JSON.stringify(config)}\n`)
}

/** Looks at the hub's process from outside, until the scope closes. */
export const watch = Effect.fnUntraced(function* (pid: number) {
  const seen = { memory: 0, most: 0, processes: 0, pids: new Set<number>() }
  const look = Effect.promise(async () => {
    const { memory, descendants } = await familyOf(pid)
    seen.memory = memory
    seen.most = Math.max(seen.most, memory)
    seen.processes = Math.max(seen.processes, descendants.length)
    for (const descendant of descendants) seen.pids.add(descendant)
  })
  yield* look
  yield* look.pipe(Effect.andThen(Effect.sleep("100 millis")), Effect.forever, Effect.forkScoped)
  return { seen, look, before: seen.memory }
})

/** Answers how long it took in milliseconds, and which of `pids` are left. */
export const stop = Effect.fnUntraced(function* (hub: RunningHub, pids: ReadonlySet<number>) {
  const begun = yield* Clock.currentTimeMillis
  hub.process.kill("SIGTERM")
  yield* Effect.promise(() => hub.ended)
  const taken = (yield* Clock.currentTimeMillis) - begun
  return { taken, left: yield* Effect.promise(() => alive(pids)) }
})
