/** The baseline of the hub: `peers/bare-hub.mjs` on a database with the hub's tables. */
import { spawn } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { makeTopic, startHub } from "./hub.ts"
import type { Target } from "./load.ts"

const file = fileURLToPath(new URL("./peers/bare-hub.mjs", import.meta.url))
const token = "secret"

export interface BareHub extends Target {
  readonly pid: number
  readonly stop: () => Promise<void>
}

/** Each post opens a job for each of `plugins` plugins. The jobs never run. */
export const startBareHub = async (plugins: number): Promise<BareHub> => {
  // A hub makes the tables.
  const hub = await startHub({ config: {} })
  const topic = await makeTopic(hub)
  await hub.end()
  const database = path.join(hub.workspace, ".agentlip", "db.sqlite3")
  const child = spawn(process.execPath, [file, database, token, String(plugins)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  const ended = new Promise((resolve) => child.once("exit", resolve))
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.once("data", (line) => resolve(Number(line)))
    child.once("exit", () => reject(new Error("the baseline did not start")))
  })
  return {
    host: "127.0.0.1",
    port,
    auth_token: token,
    topic,
    pid: child.pid ?? Number.NaN,
    stop: async () => {
      child.kill("SIGINT")
      await ended
      await hub.stop()
    }
  }
}
