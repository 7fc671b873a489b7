/** What can be measured, in the order in which it is. */
import type { Suite } from "./figures.ts"
import { callers, isolates, sizes } from "./suites/dimensions.ts"
import { fresh } from "./suites/fresh.ts"
import { hub } from "./suites/hub.ts"
import { kill } from "./suites/kill.ts"
import { memory } from "./suites/memory.ts"
import { plugins } from "./suites/plugins.ts"
import { soak } from "./suites/soak.ts"
import { start } from "./suites/start.ts"
import { stagesCompiled, stagesInterpreted } from "./suites/stages.ts"
import { warm } from "./suites/warm.ts"

interface Part {
  /** How long the suite aims to take: less than six minutes for all. With at least two rounds each, it can take longer. */
  readonly seconds: number
  readonly measure: Suite
  /** Whether schemas are compiled, as an application has them that wants speed. */
  readonly compiled: boolean
}

const compiled = (measure: Suite, seconds: number): ReadonlyArray<Part> => [
  { measure, compiled: true, seconds }
]

export const suites = {
  warm: compiled(warm, 40),
  callers: compiled(callers, 15),
  sizes: compiled(sizes, 15),
  isolates: compiled(isolates, 8),
  plugins: compiled(plugins, 20),
  fresh: compiled(fresh, 30),
  kill: compiled(kill, 30),
  memory: compiled(memory, 15),
  soak: compiled(soak, 25),
  hub: compiled(hub, 70),
  start: compiled(start, 25),
  stages: [...compiled(stagesCompiled, 8), { measure: stagesInterpreted, compiled: false, seconds: 8 }]
} satisfies { readonly [name: string]: ReadonlyArray<Part> }

export type SuiteName = keyof typeof suites

export const isSuiteName = (name: string): name is SuiteName => Object.hasOwn(suites, name)

/** In the order in which they are measured. */
export const suiteNames: ReadonlyArray<SuiteName> = Object.keys(suites).filter(isSuiteName)
