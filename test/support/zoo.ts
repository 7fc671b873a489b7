/**
 * The zoo: every rogue plugin, what the runtime must make of it, and what it does to a host that trusts it
 * (its positive control: a rogue that harms nobody would prove nothing).
 */
import { crashes } from "./zoo/crashes.ts"
import { engine } from "./zoo/engine.ts"
import { forgeries } from "./zoo/forgeries.ts"
import { grants } from "./zoo/grants.ts"
import { leftovers } from "./zoo/leftovers.ts"
import { liveness } from "./zoo/liveness.ts"
import { loads } from "./zoo/loads.ts"
import { logs } from "./zoo/logs.ts"
import { memory } from "./zoo/memory.ts"
import { network } from "./zoo/network.ts"
import { outputs } from "./zoo/outputs.ts"
import { reach } from "./zoo/reach.ts"
import type { Rogue } from "./zoo/rogue.ts"
import { throws } from "./zoo/throws.ts"
import { work } from "./zoo/work.ts"

export type { Code, Harm, Rogue } from "./zoo/rogue.ts"

export const zoo: ReadonlyArray<Rogue> = [
  ...liveness,
  ...crashes,
  ...engine,
  ...loads,
  ...memory,
  ...forgeries,
  ...leftovers,
  ...logs,
  ...outputs,
  ...throws,
  ...reach,
  ...grants,
  ...network,
  ...work
]
