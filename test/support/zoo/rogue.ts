/** What a rogue is, what the runtime must make of it, and what it does to a host that trusts it. */
import type { IsolationLevel } from "../../../src/Capabilities.ts"
import type { Grants } from "../../../src/Grants.ts"
import type { PluginErrorCode } from "../../../src/Errors.ts"
import type { Limits, PluginSpecOptions } from "../../../src/Plugin.ts"
import type { World } from "../world.ts"

export type Code = PluginErrorCode | "OK"

/** What a host suffers that imports the rogue into a bare worker (or process) and takes its word. */
export type Harm =
  /** No answer. */
  | "hangs"
  /** The worker, or the whole process, is gone. */
  | "dies"
  /** It reports to have got what it was after. */
  | "reaches"
  /** The server was reached. */
  | "connects"
  /** A file was made or changed. */
  | "plants"
  /** A value came that is no output of its kind. */
  | "lies"
  /** A value came that the plugin's method did not answer. */
  | "forges"
  /** Its memory is all that stops it. */
  | "grows"
  /** More output than anybody can keep. */
  | "floods"
  /** Its next run finds what an earlier one left. */
  | "persists"
  /** None to be shown, and why. */
  | { readonly none: string }

/** What can differ from level to level. */
interface Terms {
  /** More than one only where either is right. */
  readonly expect: Code | ReadonlyArray<Code>
  /** What the error says. */
  readonly says?: RegExp
  /** Milliseconds. */
  readonly timeout?: number
  readonly limits?: Partial<Limits>
  /** Milliseconds of the host's own thread for two runs, where a rogue has it answer thousands of requests. */
  readonly hostTime?: number
  /** Its run returns, and a warm isolate that crashes afterwards makes it count as a failure all the same. */
  readonly countsAsFailure?: boolean
  /** How it is not held yet: the suite expects it to fail, and says so once it no longer does. */
  readonly open?: string
  /** Could take its host down with it: runs in a host of its own. */
  readonly ownHost?: boolean
}

export interface Rogue extends Terms {
  readonly name: string
  /** In test/fixtures/rogues. */
  readonly file: string
  readonly config?: Readonly<Record<string, unknown>>
  /** What it is asked, where that decides what it does. */
  readonly ask?: string
  /** What it is granted in the world it lives in. */
  readonly grants?: (world: World) => Grants
  readonly spec?: Pick<PluginSpecOptions<never>, "enforcement" | "sandbox" | "integrity" | "grace">
  /** The levels it is made for, where it is not made for all. */
  readonly levels?: ReadonlyArray<IsolationLevel>
  /** What is otherwise on a level. */
  readonly on?: Readonly<Partial<Record<IsolationLevel, Partial<Terms>>>>
  /** Where the host that trusts it would run it; a worker, unless it is said. */
  readonly bare?: "worker" | "process"
  readonly harm: Harm
}

/** Rogues that differ in their files alone. */
export const files = (
  extension: string,
  shared: Omit<Rogue, "name" | "file">,
  names: ReadonlyArray<string>
): Array<Rogue> => names.map((name) => ({ name, file: `${name}.${extension}`, ...shared }))

/** Rogues of one TypeScript file that differ in what they are asked alone. */
export const asked = (
  file: string,
  shared: Omit<Rogue, "name" | "file" | "ask">,
  asks: ReadonlyArray<string>
): Array<Rogue> => asks.map((ask) => ({ name: `${file}: ${ask}`, file: `${file}.ts`, ask, ...shared }))

/** A deadline that no machine is too slow to wait for, in milliseconds. */
export const hanging = 250

/** A rogue as it is on a level; `undefined` where it has nothing to do. */
export const rogueOn = (rogue: Rogue, level: IsolationLevel): Rogue | undefined => {
  if (rogue.levels?.includes(level) === false) return undefined
  // Only a thread can take its host down; that the others cannot is what they are for.
  const { ownHost, ...rest } = rogue
  return { ...rest, ...(ownHost === true && level === "thread" ? { ownHost } : {}), ...rogue.on?.[level] }
}
