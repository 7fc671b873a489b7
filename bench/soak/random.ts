/** Choices that a seed makes again (mulberry32). */
export interface Random {
  /** From 0 to less than 1. */
  readonly next: () => number
  readonly below: (limit: number) => number
  readonly pick: <A>(values: ReadonlyArray<A>) => A | undefined
  /** Waiting times of events that happen so often a second on average, in milliseconds. */
  readonly wait: (perSecond: number) => number
}

export const seeded = (seed: number): Random => {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return {
    next,
    below,
    pick: (values) => values[below(values.length)],
    wait: (perSecond) => (-Math.log(1 - next()) * 1000) / perSecond
  }
}
