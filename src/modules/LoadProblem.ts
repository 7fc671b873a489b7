/** Why a module cannot be loaded: a message for the plugin's author, with the place if known. */
import type { ModulePlace } from "../wire/modules.ts"

export class LoadProblem extends Error {
  override name = "LoadProblem"
  readonly place: ModulePlace | undefined
  /** Whether the source has a syntax error. */
  readonly syntax: boolean
  /** Whether the file or package does not exist. */
  readonly missing: boolean
  /** Whether a package is at fault: its package.json cannot be used, or offers no such module. */
  readonly ofPackage: boolean

  constructor(
    message: string,
    more: {
      readonly place?: ModulePlace
      readonly syntax?: boolean
      readonly missing?: boolean
      readonly ofPackage?: boolean
    } = {}
  ) {
    super(message)
    this.place = more.place
    this.syntax = more.syntax ?? false
    this.missing = more.missing ?? false
    this.ofPackage = more.ofPackage ?? false
  }
}

/** The message of any thrown value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
