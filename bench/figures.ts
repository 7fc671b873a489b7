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
  /** Milliseconds of one contender's turn. */
  readonly turn: number
  /** Calls before anything is measured, enough for what is compiled to be so, in at most so many milliseconds. */
  readonly warmUp: { readonly calls: number; readonly millis: number }
  /** Runs of the soak. */
  readonly soak: number
}

/** Measures, on the levels that run here; whatever it starts has ended when it answers. */
export type Suite = (scale: Scale, levels: ReadonlyArray<IsolationLevel>) => Promise<ReadonlyArray<Figure>>

/** Has every contender measured once a round, in turns, so that a slow minute of the machine is everybody's. */
export const alternate = async <Contender, Measured>(
  rounds: number,
  contenders: ReadonlyArray<Contender>,
  measure: (contender: Contender, round: number) => Promise<Measured>
): Promise<ReadonlyArray<readonly [Contender, ReadonlyArray<Measured>]>> => {
  const all = contenders.map((contender) => [contender, new Array<Measured>()] as const)
  for (let round = 0; round < rounds; round++) {
    // Every other round the other way round: nobody is always measured after the same neighbour.
    for (const [contender, measured] of round % 2 === 0 ? all : all.toReversed()) {
      measured.push(await measure(contender, round))
    }
  }
  return all
}

export const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
