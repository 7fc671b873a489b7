/** What a host that a test starts is to do. */
import type { PluginSpecOptions } from "../../src/Plugin.ts"
import type { linkifier, Message } from "../../src/PluginKinds.ts"
import type { Level } from "./isolation.ts"

export interface Task {
  readonly level: Level
  readonly spec: Omit<PluginSpecOptions<typeof linkifier>, "kind">
  readonly goodPath: string
  readonly message: Message
  /** Bare: ask a second time, whatever became of the first. */
  readonly twice: boolean
  /** Bare: where the rogue runs. */
  readonly bare: "worker" | "process"
  /** Bare: how long it waits for an answer, in milliseconds. */
  readonly patience: number
  /** Bare: MiB of memory that show what there is to show. */
  readonly enough?: number
  /** Bare: how long it waits for what comes after an answer, in milliseconds. */
  readonly linger: number
}
