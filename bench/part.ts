/** Measures one part of a suite and sends the figures to the process that started this one. */
import type { Orders, Outcome } from "./measure.ts"

const { suite, part, compiled, scale, levels }: Orders = JSON.parse(process.argv[2] ?? "")
// Before any schema is used, as an application has it that wants speed. Not by `--import`: every worker thread of every
// contender would load it too.
if (compiled) await import("effect/schema/SchemaJITCompiler/enable")
const { suites } = await import("./suites.ts")
const send = (outcome: Outcome): void => {
  process.send?.(outcome)
  process.disconnect?.()
}
try {
  const figures = await suites[suite][part]?.measure(scale, levels)
  if (figures === undefined) throw new Error(`"${suite}" has no part ${part}`)
  send({ figures })
} catch (error) {
  send({ failure: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })
  throw error
}
