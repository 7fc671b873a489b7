/** What plugins cost those who post: a real hub in a process of its own, over HTTP, with none and with three. */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { Agent, request } from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { Row } from "./report.ts"
import { quantile } from "./stats.ts"

const hubMain = fileURLToPath(new URL("../hub/src/main.ts", import.meta.url))
const plugin = (file: string): string => fileURLToPath(new URL(`../plugins/src/${file}`, import.meta.url))

const posters = 16
const startWithin = 20_000
const deriveWithin = 120_000

interface Server {
  readonly host: string
  readonly port: number
  readonly auth_token: string
}

interface Hub extends Server {
  readonly stop: () => Promise<void>
}

interface Created {
  readonly id: string
}

interface Derivations {
  readonly derivations: ReadonlyArray<{ readonly state: string }>
}

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** Polls until `probe` answers something, at most `within` milliseconds. */
const until = async <A>(
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

/** What the hub runs; the rogues hang and crash beside the three. */
type Plugins = "none" | "three" | "three and rogues"

const startHub = async (plugins: Plugins): Promise<Hub> => {
  const workspace = fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-bench-"))
  // Modules of the shipped plugins must lie in the workspace; a link there is judged by what it points to, so copy.
  fs.cpSync(path.dirname(plugin("urls.ts")), path.join(workspace, "plugins"), { recursive: true })
  fs.mkdirSync(path.join(workspace, "node_modules"))
  fs.symlinkSync(
    fileURLToPath(new URL("../node_modules/linkify-it", import.meta.url)),
    path.join(workspace, "node_modules/linkify-it")
  )
  for (const rogue of ["spins", "crashes"]) {
    const file = new URL(`../examples/hostile/${rogue}.ts`, import.meta.url)
    fs.copyFileSync(fileURLToPath(file), path.join(workspace, `plugins/${rogue}.ts`))
  }
  const entry = (name: string): object => ({ name, modulePath: `./plugins/${name}.ts` })
  const rogues =
    plugins === "three and rogues" ? [{ ...entry("spins"), timeout: "1 second" }, entry("crashes")] : []
  const config =
    plugins === "none"
      ? {}
      : {
          linkifiers: [entry("url-linkifier"), entry("mention-linkifier"), ...rogues.slice(0, 1)],
          extractors: [entry("url-extractor"), ...rogues.slice(1)]
        }
  fs.writeFileSync(path.join(workspace, "agentlip.config.ts"), `export default ${JSON.stringify(config)}\n`)
  const child = spawn(
    process.execPath,
    [
      ...(process.env["HUB_FLAGS"]?.split(" ") ?? []),
      "--conditions=@agentlip/source",
      hubMain,
      "up",
      "--workspace",
      workspace,
      "--port",
      "0"
    ],
    { stdio: ["ignore", "ignore", "inherit"] }
  )
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const file = path.join(workspace, ".agentlip", "server.json")
  const server = await until<Server>("the hub's start", startWithin, () =>
    fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : undefined
  )
  return {
    ...server,
    stop: async () => {
      child.kill("SIGINT")
      await ended
      fs.rmSync(workspace, { recursive: true })
    }
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: posters })

const call = <Answer>(hub: Server, method: string, target: string, body?: unknown): Promise<Answer> =>
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
            : reject(new Error(`${method} ${target}: ${response.statusCode} ${text}`))
        )
      }
    )
    sent.on("error", reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })

interface Posted {
  readonly perSecond: number
  readonly p99: number
  /** Messages a second from the first post to the last commit; NaN without plugins. */
  readonly derivedPerSecond: number
}

const post = async (plugins: Plugins, count: number): Promise<Posted> => {
  const hub = await startHub(plugins)
  try {
    const { channel } = await call<{ readonly channel: Created }>(hub, "POST", "/api/v1/channels", {
      name: "bench"
    })
    const { topic } = await call<{ readonly topic: Created }>(hub, "POST", "/api/v1/topics", {
      channel_id: channel.id,
      title: "bench"
    })
    const ids: Array<string> = []
    const taken: Array<number> = []
    let started = 0
    const poster = async (): Promise<void> => {
      while (started < count) {
        const number = started++
        const begin = performance.now()
        const { message } = await call<{ readonly message: Created }>(hub, "POST", "/api/v1/messages", {
          topic_id: topic.id,
          sender: "bench",
          content_raw: `message ${number}: see https://example.com/${number} and ask @ada about example.org/path`
        })
        taken.push(performance.now() - begin)
        ids.push(message.id)
      }
    }
    const begin = performance.now()
    await Promise.all(Array.from({ length: posters }, poster))
    const seconds = (performance.now() - begin) / 1000
    if (plugins === "three") {
      // Jobs may end out of order: every message is asked for, so that a lost one would show.
      await until("the last derivation", deriveWithin, async () => {
        const next = ids.at(-1)
        if (next === undefined) return true
        const { derivations } = await call<Derivations>(hub, "GET", `/api/v1/messages/${next}/derivations`)
        const open = derivations.some(({ state }) => state === "pending" || state === "waiting")
        return open ? undefined : true
      })
    }
    const derivedSeconds = (performance.now() - begin) / 1000
    for (const id of plugins === "three" ? ids : []) {
      const { derivations } = await call<Derivations>(hub, "GET", `/api/v1/messages/${id}/derivations`)
      const committed = derivations.filter(({ state }) => state === "committed")
      if (committed.length !== 3) throw new Error(`message ${id}: ${JSON.stringify(derivations)}`)
    }
    return {
      perSecond: count / seconds,
      p99: quantile(taken, 0.99),
      derivedPerSecond: plugins === "three" ? count / derivedSeconds : Number.NaN
    }
  } finally {
    await hub.stop()
  }
}

/** Posts a second, their p99, and messages derived a second. */
export const postRows = async (quick: boolean): Promise<ReadonlyArray<Row>> => {
  const count = quick ? 300 : 3_000
  const rounds = quick ? 1 : 3
  const bare: Array<Posted> = []
  const derived: Array<Posted> = []
  const beset: Array<Posted> = []
  for (let round = 0; round < rounds; round++) {
    bare.push(await post("none", count))
    derived.push(await post("three", count))
    beset.push(await post("three and rogues", count))
  }
  const row = (
    suite: string,
    contender: string,
    unit: string,
    figures: ReadonlyArray<number>,
    budget?: Row["budget"]
  ): Row => ({
    suite,
    contender,
    unit,
    rounds: figures,
    ...(budget === undefined ? {} : { budget })
  })
  const posts = "POST /messages, 16 clients (more is better)"
  return [
    row(
      posts,
      "agentlip hub, 3 plugins",
      "posts/s",
      derived.map((one) => one.perSecond),
      {
        against: "the hub, no plugins",
        ratio: ">= 0.9"
      }
    ),
    row(
      posts,
      "the hub, no plugins",
      "posts/s",
      bare.map((one) => one.perSecond)
    ),
    row(
      posts,
      "3 plugins, a hanging, a crashing",
      "posts/s",
      beset.map((one) => one.perSecond)
    ),
    row(
      "POST /messages, p99 (less is better)",
      "agentlip hub, 3 plugins",
      "ms",
      derived.map((one) => one.p99)
    ),
    row(
      "POST /messages, p99 (less is better)",
      "the hub, no plugins",
      "ms",
      bare.map((one) => one.p99)
    ),
    row(
      "POST /messages, p99 (less is better)",
      "3 plugins, a hanging, a crashing",
      "ms",
      beset.map((one) => one.p99)
    ),
    row(
      "posted -> derived and committed, 3 plugins (budget: >= 960)",
      "agentlip hub",
      "msg/s",
      derived.map((one) => one.derivedPerSecond)
    )
  ]
}
