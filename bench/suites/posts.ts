/** What plugins cost those who post: a real hub in a process of its own, over HTTP, with none and with three. */
import { Agent } from "node:http"
import { alternate, type Figure, type Suite } from "../figures.ts"
import { call as callHub, type Hub, startHub as startHubProcess, until } from "../hub.ts"
import { quantile } from "../stats.ts"
import { tables } from "../tables.ts"

const posters = 16
const deriveWithin = 120_000

interface Created {
  readonly id: string
}

interface Jobs {
  readonly derivations: ReadonlyArray<{ readonly state: string }>
}

/** What the hub runs; the rogues hang and crash beside the three. */
type Plugins = "none" | "three" | "three and rogues"

const startHub = (plugins: Plugins): Promise<Hub> => {
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
  const files = ["spins", "crashes"].map(
    (rogue) => new URL(`../../examples/hostile/${rogue}.ts`, import.meta.url)
  )
  return startHubProcess({ config, files, flags: ["--rate-limit", "0"] })
}

const agent = new Agent({ keepAlive: true, maxSockets: posters })

const call = <Answer>(hub: Hub, method: string, target: string, body?: unknown): Promise<Answer> =>
  callHub(agent, hub, method, target, body)

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
    const { derivations } = await call<Jobs>(hub, "GET", `/api/v1/messages/${id}/derivations`)
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
