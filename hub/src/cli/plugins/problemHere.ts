/** A plugin's error for an author at the command line: with hints that name flags, and paths relative to this folder. */
import type { ConfiguredSpec, Grants, PluginError } from "@agentlip/plugin-runtime"
import { printable } from "@agentlip/plugin-runtime/text"
import type { PluginProblem, SourcePlace } from "@agentlip/protocol"
import * as path from "node:path"
import { problemOf } from "../../plugins/PluginProblem.ts"
import { namedRedactorOf } from "../../plugins/Secrets.ts"
import { shellWord } from "../render/shellWord.ts"

/** The flags for the grants that a plugin lacks. */
const grantFlags = (missing: Grants | undefined): string | undefined => {
  if (missing === undefined) return undefined
  const flags = Object.entries(missing).flatMap(([capability, entries]) =>
    entries.map((entry) => `--allow-${capability} ${shellWord(entry)}`)
  )
  return `grant it here with ${flags.join(" ")}`
}

/** What to do at the command line; `undefined`: what the problem itself says. */
const hintOf = (error: PluginError): string | undefined => {
  switch (error._tag) {
    case "LOAD_ERROR":
      return error.reason.includes("configSchema refuses")
        ? "give it a config: --config '{…}'"
        : grantFlags(error.missingGrants)
    case "TIMEOUT":
      return "look where it is with --inspect; if it only needs longer: --timeout '30 seconds'"
    case "EXECUTION_ERROR":
      return grantFlags(error.missingGrants)
    default:
      return undefined
  }
}

export const problemHere = (error: PluginError, spec: ConfiguredSpec): PluginProblem => {
  const hint = hintOf(error)
  return { ...problemOf(error, spec, namedRedactorOf(spec).text), ...(hint === undefined ? {} : { hint }) }
}

/** The path relative to the working directory, or the full path if the file is outside. */
export const pathFromHere = (file: string): string => {
  const relative = path.relative(process.cwd(), file)
  return printable(relative === "" || relative.startsWith("..") ? file : relative)
}

export const placeText = ({ file, line, column }: SourcePlace): string =>
  `${pathFromHere(file)}:${line}:${column}`
