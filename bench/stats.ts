/** Small statistics, the same for every contender. */

export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/** Half of the distance between the best and the worst round, as a share of the median. */
export const spread = (values: ReadonlyArray<number>): number =>
  (Math.max(...values) - Math.min(...values)) / 2 / median(values)

/** Calls `task` `count` times with `callers` calls open at any time; answers calls a second. */
export const throughput = async (
  callers: number,
  count: number,
  task: () => Promise<unknown>
): Promise<number> => {
  let started = 0
  const caller = async (): Promise<void> => {
    while (started < count) {
      started++
      await task()
    }
  }
  const begin = performance.now()
  await Promise.all(Array.from({ length: callers }, caller))
  return count / ((performance.now() - begin) / 1000)
}

/** Calls `task` one after another; answers each call's microseconds. */
export const latencies = async (
  count: number,
  task: () => Promise<unknown>
): Promise<ReadonlyArray<number>> => {
  const result: Array<number> = []
  for (let index = 0; index < count; index++) {
    const begin = performance.now()
    await task()
    result.push((performance.now() - begin) * 1000)
  }
  return result
}
