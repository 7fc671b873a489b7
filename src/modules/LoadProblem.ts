/** Why a module cannot be had: for the plugin's author to read, with the place if there is one. */
import type { ModulePlace } from "../wire/modules.ts"

export class LoadProblem extends Error {
  override name = "LoadProblem"
  readonly place: ModulePlace | undefined
  /** Whether the source does not parse. */
  readonly syntax: boolean
  /** Whether there is no such file or package. */
  readonly missing: boolean

  constructor(
    message: string,
    more: {
      readonly place?: ModulePlace
      readonly syntax?: boolean
      readonly missing?: boolean
    } = {}
  ) {
    super(message)
    this.place = more.place
    this.syntax = more.syntax ?? false
    this.missing = more.missing ?? false
  }
}

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
