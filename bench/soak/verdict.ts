/** Whether a soak went well. */
import { median } from "../stats.ts"
import type { Sample } from "./samples.ts"

export interface Check {
  readonly what: string
  readonly seen: string
  readonly allowed: string
  /** `undefined`: not judged. */
  readonly ok: boolean | undefined
}

/**
 * What the hub may hold after a collection of all garbage, in MiB a minute more. Between two collections the engine lets
 * its heap grow to several times of what is in use: over 20 minutes the slope of that was 0.2 to 3.4 MiB a minute, while
 * the heap in use rose by 0.2. Shorter runs say nothing: code is compiled, caches and pools are filled. The resident
 * memory of a reading varies by 15 MiB with the threads that run at that moment, so its slope needs more minutes.
 */
const afterCollection = {
  heapMiB: { what: "heap of the hub, garbage collected", minutes: 20, aMinute: 0.25 },
  residentMiB: {
    what: "resident memory of the hub after a collection of the main heap",
    minutes: 30,
    aMinute: 0.5
  }
} as const

/** What the hub holds at any moment, as its machine sees it: most that it may grow to, as a share of what it was. */
const atAnyMoment = { minutes: 20, growth: 1.3 } as const

/** Two of each fifth. */
const fewestReadings = 10

/** By how many the middle of a count may rise; clients and isolates come and go all the time. */
const countRise = { handles: 16, threads: 2, processes: 6 } as const

/** Two of each fifth. */
const samplesForCounts = 10

const p99Limit = 50

/** Least squares. */
const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const mean = (values: ReadonlyArray<number>): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const x0 = mean(points.map(([x]) => x))
  const y0 = mean(points.map(([, y]) => y))
  const over = points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0)
  return over / points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0)
}

interface Trend {
  readonly from: number
  readonly to: number
  /** A minute, between the middles of the second and the last fifth. */
  readonly rise: number
  /** A minute, over all but the first fifth. */
  readonly slope: number
}

interface Timed {
  /** Since the load began. */
  readonly minutes: number
}

const trend = <A extends Timed>(samples: ReadonlyArray<A>, of: (sample: A) => number): Trend => {
  const fifth = Math.max(1, Math.floor(samples.length / 5))
  const middle = (some: ReadonlyArray<A>, value: (sample: A) => number) => median(some.map(value))
  const second = samples.slice(fifth, 2 * fifth)
  const last = samples.slice(-fifth)
  const from = middle(second, of)
  const to = middle(last, of)
  const minutes = middle(last, (sample) => sample.minutes) - middle(second, (sample) => sample.minutes)
  const settled = samples.slice(fifth).map((sample) => [sample.minutes, of(sample)] as const)
  return { from, to, rise: (to - from) / minutes, slope: slope(settled) }
}

/** The last sample may be taken a moment before the end. */
const isShorter = (samples: ReadonlyArray<Sample>, minutes: number): boolean =>
  (samples.at(-1)?.minutes ?? 0) + 0.1 < minutes

const notJudged = (what: string, minutes: number, seen: ReadonlyArray<number>): Check => ({
  what,
  seen:
    seen.length === 0 ? "nothing" : `${Math.min(...seen).toFixed(0)} to ${Math.max(...seen).toFixed(0)} MiB`,
  allowed: `not judged under ${minutes} minutes`,
  ok: undefined
})

const heldMemory = (samples: ReadonlyArray<Sample>, name: keyof typeof afterCollection): Check => {
  const readings = samples.flatMap(({ minutes, held }) => (held === undefined ? [] : [{ minutes, ...held }]))
  const { what, minutes, aMinute } = afterCollection[name]
  if (isShorter(samples, minutes))
    return notJudged(
      what,
      minutes,
      readings.map((reading) => reading[name])
    )
  const allowed = `${aMinute} MiB a minute`
  if (readings.length < fewestReadings)
    return { what, seen: `${readings.length} readings: the hub's log may say why`, allowed, ok: false }
  const { from, to, rise, slope } = trend(readings, (reading) => reading[name])
  return {
    what,
    seen: `${from.toFixed(1)} → ${to.toFixed(1)} MiB: ${rise.toFixed(2)} a minute, slope ${slope.toFixed(2)}`,
    allowed,
    ok: rise <= aMinute && slope <= aMinute
  }
}

/** Without it, memory that only a forced collection gives back would not be seen. */
const residentMemory = (samples: ReadonlyArray<Sample>): Check => {
  const what = "resident memory of the hub"
  const { minutes, growth } = atAnyMoment
  if (isShorter(samples, minutes))
    return notJudged(
      what,
      minutes,
      samples.map(({ residentMiB }) => residentMiB)
    )
  const { from, to } = trend(samples, ({ residentMiB }) => residentMiB)
  return {
    what,
    seen: `${from.toFixed(0)} → ${to.toFixed(0)} MiB: ${(to / from).toFixed(2)} x`,
    allowed: `${growth} x`,
    ok: to <= growth * from
  }
}

const count = (samples: ReadonlyArray<Sample>, name: keyof typeof countRise): Check => {
  const { from, to } = trend(samples, (sample) => sample[name])
  return {
    what: name === "processes" ? "processes of isolates" : `${name} of the hub`,
    seen: `${from} → ${to}`,
    allowed: `a rise of ${countRise[name]}`,
    ok: samples.length < samplesForCounts ? undefined : to - from <= countRise[name]
  }
}

const none = (what: string, found: ReadonlyArray<string>): Check => ({
  what,
  seen: found.length === 0 ? "0" : `${found.length}, such as ${found[0]}`,
  allowed: "0",
  ok: found.length === 0
})

/** What is known in the end, beside the samples. */
export interface Outcome {
  readonly samples: ReadonlyArray<Sample>
  /** p99 of every POST of the run, in milliseconds. */
  readonly p99: number
  readonly errors: ReadonlyArray<string>
  readonly listenerErrors: ReadonlyArray<string>
  /** Jobs that have not ended though their circuits are closed, some time after the load. */
  readonly stuck: ReadonlyArray<string>
  /** Clients that the hub counts, though all have left. */
  readonly listenersLeft: number
  /** How the hub ended. */
  readonly exit: string
  /** Processes of the hub's that are there after it. */
  readonly left: ReadonlyArray<string>
}

export const verdict = (outcome: Outcome): ReadonlyArray<Check> => [
  heldMemory(outcome.samples, "heapMiB"),
  heldMemory(outcome.samples, "residentMiB"),
  residentMemory(outcome.samples),
  count(outcome.samples, "handles"),
  count(outcome.samples, "threads"),
  count(outcome.samples, "processes"),
  {
    what: "p99 of POST",
    seen: `${outcome.p99.toFixed(1)} ms`,
    allowed: `less than ${p99Limit} ms`,
    ok: outcome.p99 < p99Limit
  },
  none("errors that nobody provoked", outcome.errors),
  none("events missed or doubled, connections lost", outcome.listenerErrors),
  none("jobs stuck behind a closed circuit", outcome.stuck),
  {
    what: "clients counted after all have left",
    seen: String(outcome.listenersLeft),
    allowed: "0",
    ok: outcome.listenersLeft === 0
  },
  {
    what: "exit of the hub",
    seen: outcome.exit,
    allowed: "0 or 130",
    ok: ["0", "130"].includes(outcome.exit)
  },
  none("processes left behind", outcome.left)
]
