/** What a suite measures. */
import type { IsolationLevel } from "@agentlip/plugin-runtime"

export interface Figure {
  /** What is measured, the same for every contender. */
  readonly table: string
  readonly contender: string
  readonly unit: string
  readonly better: "more" | "less"
  /** One figure a round. */
  readonly rounds: ReadonlyArray<number>
  /** What one run costs the host, round by round. */
  readonly cost?: Cost
}

export interface Cost {
  /** Microseconds of CPU a run of the whole host process, worker threads and all; child processes are not in it. */
  readonly cpu: ReadonlyArray<number>
  /** Microseconds of CPU a run of the thread that the event loop is on. */
  readonly mainThread: ReadonlyArray<number>
  /** The share of the time that the event loop was busy, 0 to 1. */
  readonly loop: ReadonlyArray<number>
}

/** Names a figure in two runs. */
export const keyOf = ({ table, contender, unit }: Figure): string => `${table} | ${contender} | ${unit}`

export const find = (figures: ReadonlyArray<Figure>, table: string, contender: string): Figure | undefined =>
  figures.find((figure) => figure.table === table && figure.contender === contender)

/** How much is measured. */
export interface Scale {
  readonly quick: boolean
  readonly rounds: number
  /** Seconds that a suite may take. Rounds that would begin later are left out, but never the first two. */
  readonly seconds: number
  /** Milliseconds of one contender's turn. */
  readonly turn: number
  /** Calls before anything is measured, enough for what is compiled to be so, in at most so many milliseconds. */
  readonly warmUp: { readonly calls: number; readonly millis: number }
  /** Runs of the soak. */
  readonly soak: number
}

/** Measures, on the levels that run here; whatever it starts has ended when it answers. */
export type Suite = (scale: Scale, levels: ReadonlyArray<IsolationLevel>) => Promise<ReadonlyArray<Figure>>

export interface Rounds {
  /** At most this many. Default the scale's. */
  readonly most?: number
  /** The part of the suite's time that these rounds may take. Default 1. */
  readonly share?: number
}

/**
 * Measures every contender once a round. They take turns, so that a slow minute of the machine affects all of them.
 * Stops when the suite's time is over, after two rounds at the earliest.
 */
export const alternate = async <Contender, Measured>(
  scale: Scale,
  contenders: ReadonlyArray<Contender>,
  measure: (contender: Contender, round: number) => Promise<Measured>,
  { most = scale.rounds, share = 1 }: Rounds = {}
): Promise<ReadonlyArray<readonly [Contender, ReadonlyArray<Measured>]>> => {
  const all = contenders.map((contender) => [contender, new Array<Measured>()] as const)
  const begin = performance.now()
  const rounds = Math.min(most, scale.rounds)
  for (let round = 0; round < rounds; round++) {
    // Every other round in reverse: no contender is always measured after the same neighbour.
    for (const [contender, measured] of round % 2 === 0 ? all : all.toReversed()) {
      measured.push(await measure(contender, round))
    }
    // The next round takes about as long as those before.
    const next = ((performance.now() - begin) * (round + 2)) / (round + 1)
    if (round > 0 && next > scale.seconds * share * 1_000) break
  }
  return all
}

export const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
