/** What the hub holds, seen from outside and by its own metrics. */
import type { Agent } from "node:http"
import { get } from "node:http"
import type { HeldMemory } from "./heldMemory.ts"
import type { Hub } from "../hub.ts"
import { family, held } from "../processes.ts"
import { quantile } from "../stats.ts"

export interface Sample {
  /** Since the load began. */
  readonly minutes: number
  /** Of the hub's process. */
  readonly residentMiB: number
  readonly handles: number
  readonly threads: number
  /** The hub's children and theirs: isolates that idle, run or are being ended. */
  readonly processes: number
  readonly childrenMiB: number
  readonly openJobs: number
  /** Plugins whose circuit is open or half open. */
  readonly notClosed: ReadonlyArray<string>
  readonly listeners: number
  /** Of POST since the sample before, in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** What the hub held after a collection of the main heap; only now and then. */
  readonly held?: HeldMemory
}

export const scrape = (agent: Agent, { host, port }: Hub): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ agent, host, port, path: "/metrics" }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (text += chunk))
      response.on("end", () => resolve(text))
    }).on("error", reject)
  })

/** Each series of a metric: its labels as they are written, and its value. */
export const series = (
  metrics: string,
  name: string
): ReadonlyArray<readonly [labels: string, value: number]> =>
  metrics
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .map((line) => {
      const space = line.lastIndexOf(" ")
      return [line.slice(name.length, space), Number(line.slice(space + 1))]
    })

export const total = (metrics: string, name: string): number =>
  series(metrics, name).reduce((sum, [, value]) => sum + value, 0)

const label = (labels: string, name: string): string =>
  new RegExp(`[{,]${name}="([^"]*)"`).exec(labels)?.[1] ?? ""

/** Plugins by the state of their circuit. */
export const notClosed = (metrics: string): ReadonlyArray<string> =>
  series(metrics, "agentlip_breaker_state")
    .filter(([, state]) => state !== 0)
    .map(([labels]) => label(labels, "plugin"))

export const openJobs = (metrics: string): ReadonlyMap<string, number> =>
  new Map(series(metrics, "agentlip_jobs").map(([labels, value]) => [label(labels, "plugin"), value]))

/** Undefined where the hub is gone. */
export const sample = async (
  agent: Agent,
  hub: Hub,
  minutes: number,
  latencies: ReadonlyArray<number>
): Promise<Sample | undefined> => {
  const metrics = await scrape(agent, hub)
  const own = held(hub.pid)
  if (own === undefined) return undefined
  const children = family(hub.pid).flatMap((pid) => (pid === hub.pid ? [] : (held(pid) ?? [])))
  return {
    minutes,
    ...own,
    processes: children.length,
    childrenMiB: children.reduce((sum, { residentMiB }) => sum + residentMiB, 0),
    openJobs: total(metrics, "agentlip_jobs"),
    notClosed: notClosed(metrics),
    listeners: total(metrics, "agentlip_sockets"),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99)
  }
}
