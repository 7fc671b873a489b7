/**
 * Compares the `capabilities` that a plugin's module declares with its grants. Only the texts are compared: a plugin's
 * declaration must not make the host read its disk.
 */
import { Result, Schema } from "effect"
import * as path from "node:path"
import { type Grants, grantKinds } from "../Grants.ts"
import { contains } from "../paths.ts"
import { PrepareError, unprepared } from "../PrepareError.ts"
import { covers, parseNetEntry, parseNetGrants } from "./net.ts"

/** The most entries of each kind. */
export const maxDeclared = 100
const Names = Schema.Array(Schema.String.check(Schema.isMaxLength(1_000))).check(
  Schema.isMaxLength(maxDeclared)
)

/** `capabilities`, as a guest reports it; at most 100 entries of 1,000 characters each. */
export const DeclaredCapabilities = Schema.Struct({
  read: Schema.optionalKey(Names),
  write: Schema.optionalKey(Names),
  net: Schema.optionalKey(Names),
  env: Schema.optionalKey(Names)
})
export type DeclaredCapabilities = typeof DeclaredCapabilities.Type

const decode = Schema.decodeUnknownResult(DeclaredCapabilities, { onExcessProperty: "error" })

/** Decodes what a guest reports, which may be any value. */
export const decodeCapabilities = (reported: unknown): Result.Result<DeclaredCapabilities, PrepareError> =>
  Result.mapError(decode(reported), (error) =>
    unprepared(
      `its \`capabilities\` are not lists of texts named read, write, net or env (${error.message.slice(0, 300)})`
    )
  )

/** The declared entries that no grant covers; `undefined` if there are none. */
export const missingCapabilities = (
  declared: DeclaredCapabilities,
  granted: Grants,
  /** Base folder of relative paths, on both sides. */
  base: string
): Grants | undefined => {
  const missingFiles = (
    asked: ReadonlyArray<string>,
    given: ReadonlyArray<string>
  ): ReadonlyArray<string> => {
    const folders = given.map((file) => path.resolve(base, file))
    return asked.filter((file) => !folders.some((folder) => contains(folder, path.resolve(base, file))))
  }
  const net = Result.getOrElse(parseNetGrants(granted.net ?? []), () => [])
  const missing = {
    read: missingFiles(declared.read ?? [], granted.read ?? []),
    write: missingFiles(declared.write ?? [], granted.write ?? []),
    net: (declared.net ?? []).filter((text) => {
      const entry = parseNetEntry(text)
      return Result.isFailure(entry) || !covers(net, entry.success)
    }),
    env: (declared.env ?? []).filter((name) => !(granted.env ?? []).includes(name))
  }
  const entries = Object.entries(missing).filter(([, asked]) => asked.length > 0)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

/** A path as a config file has it: relative to the workspace if it is in there. */
const configPath = (file: string, base: string): string => {
  const absolute = path.resolve(base, file)
  if (!contains(base, absolute)) return absolute
  return `./${path.relative(base, absolute).replaceAll(path.sep, "/")}`
}

/** The line for a config file that grants both what is granted and what is missing. */
export const grantsSnippet = (granted: Grants, missing: Grants, base: string): string => {
  const fields = grantKinds.flatMap((kind) => {
    const all = [...(granted[kind] ?? []), ...(missing[kind] ?? [])]
    const texts = kind === "read" || kind === "write" ? all.map((file) => configPath(file, base)) : all
    return texts.length === 0 ? [] : [`${kind}: ${JSON.stringify([...new Set(texts)])}`]
  })
  return `grants: { ${fields.join(", ")} }`
}

/** Checks that a plugin is granted what it declares. Fails with the line to paste into the config file. */
export const checkCapabilities = (
  declared: DeclaredCapabilities,
  granted: Grants,
  base: string
): Result.Result<void, PrepareError> => {
  const hosts = parseNetGrants(declared.net ?? [], "its capabilities.net")
  if (Result.isFailure(hosts)) return Result.fail(hosts.failure)
  const missing = missingCapabilities(declared, granted, base)
  if (missing === undefined) return Result.void
  const asked = Object.entries(missing).map(([kind, entries]) => `${kind} ${entries.join(", ")}`)
  return Result.fail(
    new PrepareError({
      reason: `it declares capabilities that are not granted: ${asked.join("; ")}. To grant them, write in its entry of the config file:\n  ${grantsSnippet(granted, missing, base)}`,
      missingGrants: missing
    })
  )
}
