/** Small statistics, the same for every contender. */

/** The smallest value that is at least as large as a share `q` of all. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const rank = Math.max(Math.ceil(q * sorted.length), 1)
  return sorted[rank - 1] ?? Number.NaN
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** A figure of several rounds: the middle one, and the two that are farthest from it. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const summary = (rounds: ReadonlyArray<number>): Summary => ({
  median: median(rounds),
  min: Math.min(...rounds),
  max: Math.max(...rounds)
})

/** Half of the distance between the best and the worst round, as a share of the median. */
export const spread = (rounds: ReadonlyArray<number>): number => {
  const { median, min, max } = summary(rounds)
  return (max - min) / 2 / median
}

/**
 * One's figure divided by the other's, round by round: rounds alternate, so that what slowed one down slowed its
 * neighbour down too.
 */
export const ratios = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): ReadonlyArray<number> => {
  const rounds = Math.min(ours.length, theirs.length)
  return Array.from({ length: rounds }, (_, round) => (ours[round] ?? NaN) / (theirs[round] ?? NaN))
}

/**
 * How much readings taken one after another have grown: the median of the last third divided by that of the first,
 * once the first fifth, in which code is compiled and pools are filled, is left out. 1 is flat.
 */
export const growth = (readings: ReadonlyArray<number>): number => {
  const settled = readings.slice(Math.floor(readings.length / 5))
  const third = Math.max(1, Math.floor(settled.length / 3))
  return median(settled.slice(-third)) / median(settled.slice(0, third))
}
