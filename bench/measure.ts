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
    let figures: ReadonlyArray<Figure> | undefined
    // What part.ts sends is what a suite has measured.
    child.on("message", (message: ReadonlyArray<Figure>) => (figures = message))
    child.on("exit", (code) =>
      figures === undefined
        ? reject(new Error(`suite "${orders.suite}" ended with ${code} and no figures`))
        : resolve(figures)
    )
  })
