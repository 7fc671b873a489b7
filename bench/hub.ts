/** A real hub in a process and a workspace of its own, and requests to it. */
import type { Channel, Topic } from "@agentlip/protocol"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { Agent, request } from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { sleep } from "./figures.ts"

const inRepository = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url))

const startWithin = 20_000

export interface Server {
  readonly host: string
  readonly port: number
  readonly auth_token: string
}

export interface Hub extends Server {
  readonly pid: number
  readonly workspace: string
  /** How the process ended, once it has. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** Jobs in each state, as the hub's database has them; the hub is not asked. */
  readonly jobs: () => ReadonlyMap<unknown, number>
  /** Messages with jobs that have not ended, as the hub's database has them. */
  readonly open: () => number
  /** Stops the hub and keeps its workspace. */
  readonly end: () => Promise<number | NodeJS.Signals>
  /** Stops the hub and removes its workspace; answers how it ended, and again when called again. */
  readonly stop: () => Promise<number | NodeJS.Signals>
}

/** Polls until `probe` answers something, at most `within` milliseconds. */
export const until = async <A>(
  what: string,
  within: number,
  probe: () => A | undefined | Promise<A | undefined>
): Promise<A> => {
  for (const deadline = Date.now() + within; Date.now() < deadline; await sleep(20)) {
    const found = await probe()
    if (found !== undefined) return found
  }
  throw new Error(`${what} did not happen within ${within} ms`)
}

export interface HubSetup {
  /** What the config file says; `./plugins/` has the shipped plugins. */
  readonly config: object
  /** More modules for `./plugins/`. */
  readonly files?: ReadonlyArray<URL>
  readonly flags?: ReadonlyArray<string>
  /** Flags of Node itself. */
  readonly nodeFlags?: ReadonlyArray<string>
  /** Variables beside those of this process. */
  readonly env?: { readonly [name: string]: string }
  /** Where its stderr goes. Default: this process's. */
  readonly log?: string
}

export const startHub = async ({
  config,
  files = [],
  flags = [],
  nodeFlags = [],
  env = {},
  log
}: HubSetup): Promise<Hub> => {
  const workspace = fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-bench-"))
  // Modules of the shipped plugins must lie in the workspace; a link there is judged by what it points to, so copy.
  fs.cpSync(inRepository("plugins/src"), path.join(workspace, "plugins"), { recursive: true })
  fs.mkdirSync(path.join(workspace, "node_modules"))
  fs.symlinkSync(inRepository("node_modules/linkify-it"), path.join(workspace, "node_modules/linkify-it"))
  for (const file of files) {
    const from = fileURLToPath(file)
    fs.copyFileSync(from, path.join(workspace, "plugins", path.basename(from)))
  }
  fs.writeFileSync(path.join(workspace, "agentlip.config.ts"), `export default ${JSON.stringify(config)}\n`)
  const bin = inRepository("hub/bin/agentlip.js")
  if (!fs.existsSync(inRepository("hub/dist/agentlip.js")))
    throw new Error("The hub is not built; run npm run build:all")
  const child = spawn(
    process.execPath,
    [
      ...(process.env["HUB_FLAGS"]?.split(" ") ?? []),
      ...nodeFlags,
      bin,
      "up",
      "--workspace",
      workspace,
      "--port",
      "0",
      ...flags
    ],
    // A Ctrl-C is for the one who measures: it stops the hub when it has measured.
    {
      stdio: ["ignore", "ignore", log === undefined ? "inherit" : fs.openSync(log, "w")],
      detached: log !== undefined,
      env: { ...process.env, ...env }
    }
  )
  const ended = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once("exit", (code, signal) => resolve(code ?? signal ?? 0))
  )
  const file = path.join(workspace, ".agentlip", "server.json")
  const server = await until<Server>("the hub's start", startWithin, () =>
    fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : undefined
  )
  const database = new DatabaseSync(path.join(workspace, ".agentlip", "db.sqlite3"), { readOnly: true })
  const count = database.prepare("SELECT state, count(*) AS jobs FROM derivations GROUP BY state")
  const open = database.prepare(
    "SELECT (SELECT count(*) FROM outbox) + (SELECT count(DISTINCT message_id) FROM derivations WHERE state = 'pending') AS open"
  )
  let stopped: Promise<number | NodeJS.Signals> | undefined
  const end = (): Promise<number | NodeJS.Signals> => {
    if (database.isOpen) database.close()
    child.kill("SIGINT")
    return ended
  }
  const stop = async (): Promise<number | NodeJS.Signals> => {
    const how = await end()
    fs.rmSync(workspace, { recursive: true })
    return how
  }
  return {
    ...server,
    pid: child.pid ?? Number.NaN,
    workspace,
    ended,
    jobs: () => new Map(count.all().map(({ state, jobs }) => [state, Number(jobs)])),
    open: () => Number(open.get()?.["open"]),
    end,
    stop: () => (stopped ??= stop())
  }
}

/** An answer that is an error. */
export class Refused extends Error {
  readonly status: number | undefined
  constructor(message: string, status: number | undefined) {
    super(message)
    this.status = status
  }
}

/** Asks the hub; rejects with `Refused` where its answer is an error. */
export const call = <Answer>(
  agent: Agent,
  hub: Server,
  method: string,
  target: string,
  body?: unknown
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(
      {
        agent,
        host: hub.host,
        port: hub.port,
        method,
        path: target,
        headers: { authorization: `Bearer ${hub.auth_token}`, "content-type": "application/json" }
      },
      (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => (text += chunk))
        response.on("end", () =>
          response.statusCode !== undefined && response.statusCode < 300
            ? resolve(JSON.parse(text))
            : reject(new Refused(`${method} ${target}: ${response.statusCode} ${text}`, response.statusCode))
        )
      }
    )
    sent.on("error", reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })

/** Makes a channel and a topic in it, and returns the topic's id. */
export const makeTopic = async (hub: Server): Promise<string> => {
  const agent = new Agent()
  const { channel } = await call<{ readonly channel: Channel }>(agent, hub, "POST", "/api/v1/channels", {
    name: "bench"
  })
  const { topic } = await call<{ readonly topic: Topic }>(agent, hub, "POST", "/api/v1/topics", {
    channel_id: channel.id,
    title: "bench"
  })
  agent.destroy()
  return topic.id
}
