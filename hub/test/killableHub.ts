/** A hub's process that tests kill. */
import { Effect, Redacted } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { databaseOf } from "./testDatabase.ts"
import { client, eventually, readServerFile } from "./testHub.ts"

const entry = fileURLToPath(new URL("./crashingHub.ts", import.meta.url))

/** Milliseconds; many, for a machine that has much else to do. */
const startWithin = 120_000

export interface Running {
  readonly process: ChildProcess
  readonly url: string
  readonly token: string
  readonly api: ReturnType<typeof client>
}

export const kill = ({ process }: Pick<Running, "process">): Effect.Effect<void> =>
  Effect.promise(async () => {
    if (process.exitCode !== null || process.signalCode !== null) return
    const gone = once(process, "exit")
    process.kill("SIGKILL")
    await gone
  })

/** Starts a hub's process and waits for nothing. */
export const spawnHub = (workspace: string, { database } = databaseOf(workspace)) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const args = database === undefined ? [workspace] : [workspace, Redacted.value(database)]
      return {
        process: spawn(process.execPath, ["--conditions=@agentlip/source", entry, ...args], {
          stdio: ["ignore", "ignore", "inherit"]
        })
      }
    }),
    kill
  )

/** Waits until the hub of a process answers as itself. */
export const ready = Effect.fnUntraced(function* (workspace: string, process: ChildProcess) {
  const file = path.join(workspace, ".agentlip", "server.json")
  const server = yield* eventually(
    Effect.sync(() => {
      if (process.exitCode !== null) throw new Error(`the hub ended with exit code ${process.exitCode}`)
      if (!fs.existsSync(file)) return undefined
      const server = readServerFile(workspace)
      return server.pid === process.pid ? server : undefined
    }),
    (found) => found !== undefined,
    startWithin
  )
  if (server === undefined) return yield* Effect.die("eventually answers what was asked for")
  const url = `http://127.0.0.1:${server.port}`
  const running: Running = {
    process,
    url,
    token: server.auth_token,
    api: client(url, server.auth_token)
  }
  return running
})

/** Starts a hub's process and waits until it answers. */
export const start = Effect.fnUntraced(function* (workspace: string, database = databaseOf(workspace)) {
  const { process } = yield* spawnHub(workspace, database)
  return yield* ready(workspace, process)
})
