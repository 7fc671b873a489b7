/** One soak, from the start of the hub to what it left behind. */
import { mkdtempSync, rmSync } from "node:fs"
import { Agent } from "node:http"
import { availableParallelism, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { sleep } from "../figures.ts"
import { call, type Hub, startHub } from "../hub.ts"
import { family, isAlive } from "../processes.ts"
import { median, quantile } from "../stats.ts"
import { heldMemoryOf } from "./heldReadings.ts"
import { startListeners } from "./listeners.ts"
import { startLoad } from "./load.ts"
import { notClosed, openJobs, type Sample, sample, scrape, series } from "./samples.ts"
import { setup } from "./setup.ts"
import type { Outcome } from "./verdict.ts"

const sampleEvery = 5_000

/** In so many samples, the hub is asked once what it holds. The collection of all garbage makes it wait. */
const samplesOfReading = 12

/** Jobs that need no circuit to close end within this after the load; listeners leave within it. */
const settleWithin = 60_000

/** A process that was told to end is gone a moment later. */
const goneWithin = 3_000

export interface SoakOptions {
  readonly minutes: number
  readonly seed: number
  /** Where the hub's log goes. */
  readonly log: string
  /** Ends the load early. */
  readonly interrupted: AbortSignal
  readonly onSample: (sample: Sample) => void
}

export interface Soaked extends Outcome {
  readonly figures: ReadonlyArray<readonly [what: string, value: string]>
}

/** Waits until all that can end has ended; answers what has not. */
const settle = async (agent: Agent, hub: Hub): Promise<ReadonlyArray<string>> => {
  const deadline = Date.now() + settleWithin
  while (true) {
    const metrics = await scrape(agent, hub)
    const waits = new Set(notClosed(metrics))
    const stuck = [...openJobs(metrics)].filter(([plugin, jobs]) => jobs > 0 && !waits.has(plugin))
    if (stuck.length === 0 || Date.now() > deadline)
      return stuck.map(([plugin, jobs]) => `${jobs} of ${plugin}`)
    await sleep(500)
  }
}

const leftOf = async (pids: ReadonlyArray<number>): Promise<ReadonlyArray<string>> => {
  const deadline = Date.now() + goneWithin
  while (pids.some(isAlive) && Date.now() < deadline) await sleep(50)
  return pids.filter(isAlive).map((pid) => `process ${pid}`)
}

const sum = (values: Iterable<readonly [unknown, number]>): number =>
  [...values].reduce((total, [, value]) => total + value, 0)

export const soak = async (options: SoakOptions): Promise<Soaked> => {
  const folder = mkdtempSync(join(tmpdir(), "agentlip-soak-"))
  const heldFile = join(folder, "held.json")
  try {
    const hub = await startHub(setup(options.log, heldFile))
    try {
      return await soakHub(hub, heldFile, options)
    } finally {
      // A soak that failed leaves no hub behind; one that went well has stopped it.
      await hub.stop()
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const soakHub = async (
  hub: Hub,
  heldFile: string,
  { minutes, seed, interrupted, onSample }: SoakOptions
): Promise<Soaked> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const death: { how?: string } = {}
  void hub.ended.then((how) => (death.how = `ended during the load: ${how}`))
  const load = await startLoad(hub, seed)
  const listeners = startListeners(hub, seed + 1)
  const samples: Array<Sample> = []
  const latencies: Array<number> = []
  /** Whoever else works on the machine disturbs the times. */
  const loads: Array<number> = []
  const begin = performance.now()
  const readings = heldMemoryOf(hub.pid, heldFile)
  const elapsed = (): number => (performance.now() - begin) / 60_000
  while (elapsed() < minutes && !interrupted.aborted && death.how === undefined) {
    await sleep(Math.min(sampleEvery, Math.max(0, (minutes - elapsed()) * 60_000)))
    const latest = load.takeLatencies()
    for (const taken of latest) latencies.push(taken)
    // A hub that has died is told of below.
    const taken = await sample(agent, hub, elapsed(), latest).catch(() => undefined)
    if (taken === undefined) continue
    const held = readings.take()
    const complete = held === undefined ? taken : { ...taken, held }
    if (samples.length % samplesOfReading === 0) readings.ask()
    samples.push(complete)
    loads.push(loadavg()[0] ?? Number.NaN)
    onSample(complete)
  }
  const lasted = elapsed()
  await load.stop()
  await listeners.stop()
  for (const taken of load.takeLatencies()) latencies.push(taken)
  const common = {
    samples,
    p99: quantile(latencies, 0.99),
    errors: load.errors,
    listenerErrors: listeners.errors
  }
  if (death.how !== undefined)
    return { ...common, stuck: [], listenersLeft: 0, exit: death.how, left: [], figures: [] }

  const settling = performance.now()
  const stuck = await settle(agent, hub)
  const settled = performance.now() - settling
  const metrics = await scrape(agent, hub)
  const listenersLeft = sum(series(metrics, "agentlip_sockets"))
  const jobs = hub.jobs()
  const circuits = notClosed(metrics)
  const health = await call<{ status: string }>(agent, hub, "GET", "/health")
  const processes = family(hub.pid)
  agent.destroy()
  const stopping = performance.now()
  const exit = String(await hub.stop())
  const stopped = performance.now() - stopping
  const left = await leftOf(processes)
  const closed = series(metrics, "agentlip_sockets_closed_total").map(
    ([labels, value]) => `${labels} ${value}`
  )
  const ended = [...jobs].map(([state, count]) => `${state} ${count}`)
  return {
    ...common,
    stuck,
    listenersLeft,
    exit,
    left,
    figures: [
      ["load", `${lasted.toFixed(1)} minutes, ${(load.posted() / lasted / 60).toFixed(1)} posts/s`],
      [
        "requests answered",
        Object.entries(load.answered)
          .map(([kind, count]) => `${kind} ${count}`)
          .join(", ")
      ],
      ["provoked refusals", String(load.provoked())],
      ["POST", `p50 ${quantile(latencies, 0.5).toFixed(1)} ms, max ${quantile(latencies, 1).toFixed(0)} ms`],
      [
        "load of the machine",
        `${median(loads).toFixed(1)} processes on ${availableParallelism()} cores in the middle, ${Math.max(...loads).toFixed(1)} at most`
      ],
      [
        "samples with p99 under 50 ms",
        `${samples.filter(({ p99 }) => p99 < 50).length} of ${samples.length}`
      ],
      ["listeners", `${listeners.made()} connections, ${listeners.received()} events`],
      ["sockets closed by the hub", closed.join(", ") || "none"],
      ["jobs by state", ended.join(", ")],
      ["circuits not closed at the end", circuits.join(", ") || "none"],
      ["health after the load", `${health.status}, settled in ${(settled / 1000).toFixed(1)} s`],
      ["stop", `${stopped.toFixed(0)} ms`]
    ]
  }
}
