/** Each part of a suite is measured in a process of its own: nobody is measured in what another has left behind. */
import type { IsolationLevel } from "@agentlip/plugin-runtime"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Figure, Scale } from "./figures.ts"
import { suites, type SuiteName } from "./suites.ts"

/** What that process needs to know. */
export interface Orders {
  readonly suite: SuiteName
  readonly part: number
  readonly compiled: boolean
  readonly scale: Scale
  readonly levels: ReadonlyArray<IsolationLevel>
}

/** What part.ts sends: one of the two. */
export interface Outcome {
  readonly figures?: ReadonlyArray<Figure>
  readonly failure?: string
}

/** What suites have measured, and which of them failed. */
export interface Measured {
  readonly figures: ReadonlyArray<Figure>
  readonly failures: ReadonlyArray<SuiteFailure>
}

export interface SuiteFailure {
  readonly suite: string
  readonly reason: string
}

/** Measures one suite after another. One that fails has no figures, and does not stop the others. */
export const measureAll = async <Name extends string>(
  suites: ReadonlyArray<Name>,
  measure: (suite: Name) => Promise<ReadonlyArray<Figure>>
): Promise<Measured> => {
  const figures: Array<Figure> = []
  const failures: Array<SuiteFailure> = []
  for (const suite of suites) {
    try {
      figures.push(...(await measure(suite)))
    } catch (error) {
      failures.push({ suite, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return { figures, failures }
}

/** The failed suites, a line each; empty if there are none. */
export const failureText = (failures: ReadonlyArray<SuiteFailure>): string =>
  failures.map(({ suite, reason }) => `suite "${suite}" failed: ${reason}\n`).join("")

const file = fileURLToPath(new URL("./part.ts", import.meta.url))

export const measure = async (
  suite: SuiteName,
  scale: Omit<Scale, "seconds">,
  levels: ReadonlyArray<IsolationLevel>
): Promise<ReadonlyArray<Figure>> => {
  const figures: Array<Figure> = []
  for (const [part, { compiled, seconds }] of suites[suite].entries()) {
    figures.push(...(await inProcess({ suite, part, compiled, scale: { ...scale, seconds }, levels })))
  }
  return figures
}

const inProcess = (orders: Orders): Promise<ReadonlyArray<Figure>> =>
  new Promise((resolve, reject) => {
    // "advanced" keeps NaN.
    const child = fork(file, [JSON.stringify(orders)], { serialization: "advanced" })
    let outcome: Outcome | undefined
    // Only part.ts sends messages.
    child.on("message", (message: Outcome) => (outcome = message))
    child.on("exit", (code, signal) => {
      if (outcome?.figures !== undefined) resolve(outcome.figures)
      else reject(new Error(outcome?.failure ?? `it ended with ${signal ?? code} and no figures`))
    })
  })
