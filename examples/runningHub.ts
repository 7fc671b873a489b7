/** A real hub for the demos: `agentlip up` in a process of its own, on a workspace that is thrown away. */
import { make as makeClient } from "@agentlip/client/Effect"
import { readServerFile, workspaceAddress } from "@agentlip/client/Node"
import { Effect, Schedule } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { urlOf } from "@agentlip/protocol"

const at = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

export const exampleWorkspace = at("./workspace")
const hubMain = at("../hub/src/main.ts")

/** A copy beside the original, where the plugins find the installed packages as they do there. */
export const temporaryWorkspace = Effect.acquireRelease(
  Effect.sync(() => {
    const copy = fs.mkdtempSync(path.join(path.dirname(exampleWorkspace), ".demo-"))
    fs.cpSync(exampleWorkspace, copy, {
      recursive: true,
      filter: (source) => path.basename(source) !== ".agentlip"
    })
    return copy
  }),
  (copy) => Effect.sync(() => fs.rmSync(copy, { recursive: true, force: true }))
)

const hubEnded = (log: string): Error => new Error(`The hub ended before its time:\n${log}`)

/** The most that is kept of what a hub writes. */
const maxLog = 64 * 1024 * 1024

export interface HubOutput {
  readonly process: ChildProcess
  readonly log: () => string
  readonly ended: Promise<void>
  readonly end: () => void
}

const spawnHub = (workspace: string, env: NodeJS.ProcessEnv) =>
  Effect.acquireRelease(
    Effect.sync((): HubOutput => {
      const child = spawn(
        process.execPath,
        ["--conditions=@agentlip/source", hubMain, "up", "--workspace", workspace, "--rate-limit", "0"],
        { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] }
      )
      let log = ""
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          if (log.length < maxLog) log += text
        })
      }
      const ended = once(child, "close").then(() => {})
      // A demo that dies of a closed pipe closes no scope.
      const end = (): void => void child.kill("SIGTERM")
      process.once("exit", end)
      return { process: child, log: () => log, ended, end }
    }),
    ({ ended, end }) =>
      Effect.promise(async () => {
        end()
        await ended
        process.off("exit", end)
      })
  )

/** Starts a hub, and waits until it has loaded its plugins; it ends with the scope. */
export const startHub = Effect.fnUntraced(function* (workspace: string, env: NodeJS.ProcessEnv = {}) {
  const hub = yield* spawnHub(workspace, env)
  yield* Effect.suspend(() =>
    hub.process.exitCode === null ? Effect.succeed(hub.log()) : Effect.fail(hubEnded(hub.log()))
  ).pipe(
    Effect.repeat({ until: (log) => log.includes("\nPlugins ("), schedule: Schedule.spaced("20 millis") }),
    Effect.timeout("60 seconds")
  )
  const server = readServerFile(workspace)
  const { api } = yield* makeClient(workspaceAddress({ workspace }))
  return { ...hub, api, url: urlOf(server), pid: server.pid, token: server.auth_token }
})

export type RunningHub = Effect.Success<ReturnType<typeof startHub>>
