/** A built hub in a process of its own, over HTTP: posts beside the baseline, and the way from a post to its findings. */
import { startBareHub } from "../bareHub.ts"
import { alternate, type Figure, sleep, type Suite } from "../figures.ts"
import { type Hub, makeTopic, startHub as startHubProcess, until } from "../hub.ts"
import { postAll, postPaced, type Target } from "../load.ts"
import { cpuOf } from "../processes.ts"
import { quantile } from "../stats.ts"
import { tables } from "../tables.ts"

const clients = 16
const deriveWithin = 120_000

interface Running extends Target {
  readonly pid: number
  readonly stop: () => Promise<unknown>
}

type Plugins = "none" | "three" | "three and rogues"

interface RunningHub extends Running {
  readonly hub: Hub
}

/** The plugins are on level "process". The rogues hang and crash. */
const startHub = async (plugins: Plugins): Promise<RunningHub> => {
  const entry = (name: string): object => ({ name, isolation: "process", modulePath: `./plugins/${name}.ts` })
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
  const hub = await startHubProcess({ config, files, flags: ["--rate-limit", "0"] })
  const { host, port, auth_token, pid, stop } = hub
  return { hub, host, port, auth_token, pid, stop, topic: await makeTopic(hub) }
}

/** Waits until every job has ended. A post opens its jobs in its own transaction. */
const derived = ({ hub }: RunningHub): Promise<true> =>
  until("the last finding", deriveWithin, () => (hub.open() === 0 ? true : undefined))

interface Posted {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Microseconds of processor time a post, of all threads and of the main thread. */
  readonly cpu: number
  readonly main: number
  /** The share of the time in which the main thread ran. */
  readonly busy: number
}

/** The first posts, while code is being compiled, do not count. */
const post = async (running: Running, count: number): Promise<Posted> => {
  await postAll(running, Math.ceil(count / 3), clients)
  const before = cpuOf(running.pid)
  const { perSecond, taken } = await postAll(running, count, clients)
  const after = cpuOf(running.pid)
  const main = (after.main - before.main) / count
  return {
    perSecond,
    p50: quantile(taken, 0.5),
    p99: quantile(taken, 0.99),
    cpu: (after.all - before.all) / count,
    main,
    busy: (main * perSecond) / 1e6
  }
}

const posters: ReadonlyArray<{ readonly name: string; readonly start: () => Promise<Running> }> = [
  { name: "agentlip, no plugins", start: () => startHub("none") },
  { name: "bare node:http + node:sqlite", start: () => startBareHub(0) },
  { name: "agentlip, 3 plugins", start: () => startHub("three") },
  { name: "bare, 3 jobs a post", start: () => startBareHub(3) },
  { name: "agentlip, 3 plugins and 2 rogues", start: () => startHub("three and rogues") }
]

interface Sustained {
  readonly perSecond: number
  /** The most messages that had open jobs at the same time. */
  readonly backlog: number
}

/** Posts far more than the hub lets wait, as fast as it takes them, until all findings are committed. */
const sustain = async (count: number): Promise<Sustained> => {
  const running = await startHub("three")
  const { hub } = running
  try {
    await postAll(running, Math.ceil(count / 20), clients)
    await derived(running)
    const before = hub.jobs().get("committed") ?? 0
    const begin = performance.now()
    const posting = { ended: false }
    const posted = postAll(running, count, clients).finally(() => (posting.ended = true))
    let backlog = 0
    while (!posting.ended) {
      backlog = Math.max(backlog, hub.open())
      await sleep(100)
    }
    await posted
    await derived(running)
    const perSecond = (count * 1_000) / (performance.now() - begin)
    const committed = (hub.jobs().get("committed") ?? 0) - before
    if (committed !== 3 * count) throw new Error(`lost: ${JSON.stringify([...hub.jobs()])}`)
    return { perSecond, backlog }
  } finally {
    await running.stop()
  }
}

interface LiveEvent {
  readonly name: string
  readonly entity: { readonly id: string }
}

/** Calls `heard` for each event of the stream until `signal` aborts. */
const listen = async (
  { host, port }: Target,
  signal: AbortSignal,
  heard: (event: LiveEvent) => void
): Promise<() => Promise<void>> => {
  const response = await fetch(`http://${host}:${port}/api/v1/events/stream`, { signal })
  const read = async (): Promise<void> => {
    let text = ""
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      const lines = text.split("\n")
      text = lines.pop() ?? ""
      for (const line of lines) if (line.startsWith("data:")) heard(JSON.parse(line.slice(5)))
    }
  }
  const ended = read().catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
  return () => ended
}

interface Latency {
  readonly p50: number
  readonly p99: number
}

const perSecond = 100

/**
 * From the moment at which a post is due to the event of the last linkifier's findings in it, at 100 posts a second. The
 * first two seconds, while code is being compiled, do not count.
 */
const latency = async (seconds: number): Promise<Latency> => {
  const running = await startHub("three")
  const abort = new AbortController()
  try {
    await postAll(running, 300, clients)
    await derived(running)
    const heardAt = new Map<string, ReadonlyArray<number>>()
    const ended = await listen(running, abort.signal, ({ name, entity: { id } }) => {
      if (name === "message.enriched") heardAt.set(id, [...(heardAt.get(id) ?? []), performance.now()])
    })
    const dueAt = new Map<string, number>()
    await postPaced(running, { count: (seconds + 2) * perSecond, perSecond }, (due, body) => {
      const { message }: { readonly message: { readonly id: string } } = JSON.parse(body)
      dueAt.set(message.id, due)
    })
    await until("the last event", deriveWithin, () =>
      dueAt.keys().every((id) => heardAt.get(id)?.length === 2) ? true : undefined
    )
    abort.abort()
    await ended()
    const first = Math.min(...dueAt.values())
    const taken = [...dueAt]
      .filter(([, due]) => due >= first + 2_000)
      .map(([id, due]) => Math.max(...(heardAt.get(id) ?? [])) - due)
    return { p50: quantile(taken, 0.5), p99: quantile(taken, 0.99) }
  } finally {
    abort.abort()
    await running.stop()
  }
}

export const hub: Suite = async (scale) => {
  const count = scale.quick ? 600 : 3_000
  const posted = await alternate(
    scale,
    posters,
    async ({ start }) => {
      const running = await start()
      try {
        return await post(running, count)
      } finally {
        await running.stop()
      }
    },
    { most: scale.quick ? 1 : 5, share: 0.55 }
  )
  const pipeline = ["agentlip, 3 plugins"]
  const [sustained = []] = (
    await alternate(scale, pipeline, () => sustain(scale.quick ? 1_000 : 10_000), {
      most: scale.quick ? 1 : 3,
      share: 0.3
    })
  ).map(([, rounds]) => rounds)
  const [latencies = []] = (
    await alternate(scale, pipeline, () => latency(scale.quick ? 1 : 8), {
      most: scale.quick ? 1 : 3,
      share: 0.15
    })
  ).map(([, rounds]) => rounds)
  const contender = "agentlip, 3 plugins"
  return [
    ...posted.flatMap(([{ name }, rounds]): ReadonlyArray<Figure> => {
      const less = { contender: name, unit: "ms", better: "less" } as const
      return [
        {
          table: tables.posts,
          contender: name,
          unit: "posts/s",
          better: "more",
          rounds: rounds.map(({ perSecond }) => perSecond),
          cost: {
            cpu: rounds.map(({ cpu }) => cpu),
            mainThread: rounds.map(({ main }) => main),
            loop: rounds.map(({ busy }) => busy)
          }
        },
        { ...less, table: tables.postsMedian, rounds: rounds.map(({ p50 }) => p50) },
        { ...less, table: tables.postsTail, rounds: rounds.map(({ p99 }) => p99) },
        { ...less, table: tables.postsCpu, unit: "us", rounds: rounds.map(({ main }) => main) }
      ]
    }),
    {
      table: tables.sustained,
      contender,
      unit: "msg/s",
      better: "more",
      rounds: sustained.map(({ perSecond }) => perSecond)
    },
    {
      table: tables.backlog,
      contender,
      unit: "messages",
      better: "less",
      rounds: sustained.map(({ backlog }) => backlog)
    },
    { table: tables.found, contender, unit: "ms", better: "less", rounds: latencies.map(({ p50 }) => p50) },
    {
      table: tables.foundTail,
      contender,
      unit: "ms",
      better: "less",
      rounds: latencies.map(({ p99 }) => p99)
    }
  ]
}
