/** What plugins cost those who post: a real hub in a process of its own, over HTTP, with none and with three. */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { Agent, request } from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { DatabaseSync } from "node:sqlite"
import { alternate, type Figure, sleep, type Suite } from "../figures.ts"
import { quantile } from "../stats.ts"
import { tables } from "../tables.ts"

const hubMain = fileURLToPath(new URL("../../hub/src/main.ts", import.meta.url))
const plugin = (file: string): string => fileURLToPath(new URL(`../../plugins/src/${file}`, import.meta.url))

const posters = 16
const startWithin = 20_000
const deriveWithin = 120_000

interface Server {
  readonly host: string
  readonly port: number
  readonly auth_token: string
}

interface Hub extends Server {
  /** Jobs in each state, as the hub's database has them; the hub is not asked. */
  readonly jobs: () => ReadonlyMap<unknown, number>
  readonly stop: () => Promise<void>
}

interface Created {
  readonly id: string
}

interface Derivations {
  readonly derivations: ReadonlyArray<{ readonly state: string }>
}

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
    fileURLToPath(new URL("../../node_modules/linkify-it", import.meta.url)),
    path.join(workspace, "node_modules/linkify-it")
  )
  for (const rogue of ["spins", "crashes"]) {
    const file = new URL(`../../examples/hostile/${rogue}.ts`, import.meta.url)
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
      "0",
      "--rate-limit",
      "0"
    ],
    { stdio: ["ignore", "ignore", "inherit"] }
  )
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  const file = path.join(workspace, ".agentlip", "server.json")
  const server = await until<Server>("the hub's start", startWithin, () =>
    fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")) : undefined
  )
  const database = new DatabaseSync(path.join(workspace, ".agentlip", "db.sqlite3"), { readOnly: true })
  const count = database.prepare("SELECT state, count(*) AS jobs FROM derivations GROUP BY state")
  return {
    ...server,
    jobs: () => new Map(count.all().map(({ state, jobs }) => [state, Number(jobs)])),
    stop: async () => {
      database.close()
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
  /** Messages a second from the first post to the last commit; NaN where that is not waited for. */
  readonly derivedPerSecond: number
}

/** Posts so many messages, 16 at a time; answers their ids and how long each took. */
const postMany = async (hub: Hub, topic: Created, count: number) => {
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
  await Promise.all(Array.from({ length: posters }, poster))
  return { ids, taken }
}

/** Jobs are opened with their message, in one transaction: when none is open, all that was posted is derived. */
const derived = (hub: Hub): Promise<true> =>
  until("the last derivation", deriveWithin, () => {
    const jobs = hub.jobs()
    return (jobs.get("pending") ?? 0) + (jobs.get("waiting") ?? 0) === 0 ? true : undefined
  })

/** Throws unless each plugin's job on each message is committed; a few messages are asked for over HTTP too. */
const noneLost = async (hub: Hub, ids: ReadonlyArray<string>, posted: number): Promise<void> => {
  const jobs = hub.jobs()
  if (jobs.get("committed") !== 3 * posted) throw new Error(`lost: ${JSON.stringify([...jobs])}`)
  for (const id of ids.filter((_, index) => index % 100 === 0)) {
    const { derivations } = await call<Derivations>(hub, "GET", `/api/v1/messages/${id}/derivations`)
    const committed = derivations.filter(({ state }) => state === "committed")
    if (committed.length !== 3) throw new Error(`message ${id}: ${JSON.stringify(derivations)}`)
  }
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
    const waits = plugins === "three"
    // A hub runs for days: its first messages are not what it is like.
    const before = Math.ceil(count / 5)
    await postMany(hub, topic, before)
    if (waits) await derived(hub)
    const begin = performance.now()
    const { ids, taken } = await postMany(hub, topic, count)
    const seconds = (performance.now() - begin) / 1000
    if (waits) await derived(hub)
    const derivedSeconds = (performance.now() - begin) / 1000
    if (waits) await noneLost(hub, ids, before + count)
    return {
      perSecond: count / seconds,
      p99: quantile(taken, 0.99),
      derivedPerSecond: waits ? count / derivedSeconds : Number.NaN
    }
  } finally {
    await hub.stop()
  }
}

const names: { readonly [Kind in Plugins]: string } = {
  none: "the hub, no plugins",
  three: "agentlip hub, 3 plugins",
  "three and rogues": "3 plugins, a hanging, a crashing"
}

export const posts: Suite = async (scale) => {
  const measured = await alternate(
    scale.quick ? 1 : 3,
    ["three", "none", "three and rogues"] as const,
    (plugins) => post(plugins, scale.quick ? 300 : 3_000)
  )
  return measured.flatMap(([plugins, rounds]): ReadonlyArray<Figure> => {
    const contender = names[plugins]
    const figures: ReadonlyArray<Figure> = [
      {
        table: tables.posts,
        contender,
        unit: "posts/s",
        better: "more",
        rounds: rounds.map(({ perSecond }) => perSecond)
      },
      { table: tables.postsTail, contender, unit: "ms", better: "less", rounds: rounds.map(({ p99 }) => p99) }
    ]
    if (plugins !== "three") return figures
    const perSecond = rounds.map(({ derivedPerSecond }) => derivedPerSecond)
    return [
      ...figures,
      { table: tables.derived, contender, unit: "msg/s", better: "more", rounds: perSecond }
    ]
  })
}
