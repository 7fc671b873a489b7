/**
 * Durations, counted in buckets of constant relative width. Adding one takes a few nanoseconds, and memory does not
 * grow with their number. Quantiles for people and histograms for scrapers come from the same counts.
 */
import type { Metric } from "effect"

/** Buckets per doubling: a value that is read is at most 1/16 above the recorded one. */
const steps = 16
const stepBits = 4

/** About half an hour, in microseconds. Longer durations count as this. */
const longest = 2 ** 31 - 1

/** The bucket of a whole number of microseconds: one for each number below 16, then 16 per doubling. */
const bucketOf = (micros: number): number => {
  if (micros < steps) return micros
  const exponent = 31 - Math.clz32(micros)
  return (exponent - stepBits) * steps + (micros >>> (exponent - stepBits))
}

const size = bucketOf(longest) + 1

/** The end of a bucket in milliseconds, inclusive. */
const endOf = (bucket: number): number => {
  const next = bucket + 1
  if (next < steps) return next / 1000
  return ((steps + (next % steps)) * 2 ** (Math.floor(next / steps) - 1)) / 1000
}

/** From 64 µs to 34 s, each twice the one before. */
const boundaries = Array.from({ length: 20 }, (_, at) => {
  const micros = 2 ** (at + 6)
  return { seconds: micros / 1e6, bucket: bucketOf(micros) }
})

/** In milliseconds: at most 1/16 above the real values, and never above the longest one. */
export interface Quantiles {
  /** How many durations were measured. If it is 0, so are the others. */
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

export class Latencies {
  // Numbers rather than 32-bit counts: a busy bucket would be full within a day.
  readonly #counts = new Float64Array(size)
  #count = 0
  #sum = 0
  #min = Infinity
  #max = 0

  /** A value that is not above 0 counts as 0. */
  add(millis: number): void {
    const time = millis > 0 ? millis : 0
    // A duration of exactly 64 µs is within the boundary of 64 µs.
    const micros = Math.ceil(time * 1000) - 1
    const bucket = bucketOf(micros < 0 ? 0 : micros > longest ? longest : micros)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#count++
    this.#sum += time
    if (time < this.#min) this.#min = time
    if (time > this.#max) this.#max = time
  }

  #quantile(share: number): number {
    const rank = Math.ceil(share * this.#count)
    let seen = 0
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count
      if (seen >= rank) return Math.min(endOf(bucket), this.#max)
    }
    return this.#max
  }

  quantiles(): Quantiles {
    if (this.#count === 0) return { count: 0, p50: 0, p95: 0, p99: 0, max: 0 }
    return {
      count: this.#count,
      p50: this.#quantile(0.5),
      p95: this.#quantile(0.95),
      p99: this.#quantile(0.99),
      max: this.#max
    }
  }

  /** In seconds, as scrapers expect. */
  histogram(): Metric.HistogramState {
    const buckets: Array<[number, number]> = []
    let bucket = 0
    let seen = 0
    for (const boundary of boundaries) {
      for (; bucket < boundary.bucket; bucket++) seen += this.#counts[bucket] ?? 0
      buckets.push([boundary.seconds, seen])
    }
    const none = this.#count === 0
    return {
      buckets,
      count: this.#count,
      min: none ? 0 : this.#min / 1000,
      max: this.#max / 1000,
      sum: this.#sum / 1000
    }
  }
}
