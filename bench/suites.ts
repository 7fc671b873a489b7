/** What can be measured, in the order in which it is. */
import type { Suite } from "./figures.ts"
import { callers, isolates, sizes } from "./suites/dimensions.ts"
import { fresh } from "./suites/fresh.ts"
import { kill } from "./suites/kill.ts"
import { memory } from "./suites/memory.ts"
import { plugins } from "./suites/plugins.ts"
import { posts } from "./suites/posts.ts"
import { soak } from "./suites/soak.ts"
import { start } from "./suites/start.ts"
import { stagesCompiled, stagesInterpreted } from "./suites/stages.ts"
import { warm } from "./suites/warm.ts"

interface Part {
  readonly measure: Suite
  /** Whether schemas are compiled, as an application has them that wants speed. */
  readonly compiled: boolean
}

const compiled = (measure: Suite): ReadonlyArray<Part> => [{ measure, compiled: true }]

export const suites = {
  warm: compiled(warm),
  callers: compiled(callers),
  sizes: compiled(sizes),
  isolates: compiled(isolates),
  plugins: compiled(plugins),
  fresh: compiled(fresh),
  kill: compiled(kill),
  memory: compiled(memory),
  soak: compiled(soak),
  posts: compiled(posts),
  start: compiled(start),
  stages: [...compiled(stagesCompiled), { measure: stagesInterpreted, compiled: false }]
} satisfies { readonly [name: string]: ReadonlyArray<Part> }

export type SuiteName = keyof typeof suites

export const isSuiteName = (name: string): name is SuiteName => Object.hasOwn(suites, name)
