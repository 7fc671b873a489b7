/**
 * What a plugin's module declares to need (`capabilities`), held against what it was granted. Decided by the
 * texts alone: what a plugin declares must not have the host look at its disk.
 */
import { Effect, Result, Schema } from "effect"
import * as path from "node:path"
import type { Grants } from "../Capabilities.ts"
import { contains } from "../paths.ts"
import { covers, parseNetEntry, parseNetGrants } from "./net.ts"

const Names = Schema.Array(Schema.String.check(Schema.isMaxLength(1_000))).check(Schema.isMaxLength(100))

/** `capabilities`, as a guest reports it; at most 100 entries of 1,000 characters each. */
export const DeclaredCapabilities = Schema.Struct({
  read: Schema.optionalKey(Names),
  write: Schema.optionalKey(Names),
  net: Schema.optionalKey(Names),
  env: Schema.optionalKey(Names)
})
export type DeclaredCapabilities = typeof DeclaredCapabilities.Type

const decode = Schema.decodeUnknownEffect(DeclaredCapabilities, { onExcessProperty: "error" })

/** Understands what a guest reports, any value; fails with what is wrong with it. */
export const decodeCapabilities = (reported: unknown): Effect.Effect<DeclaredCapabilities, string> =>
  Effect.mapError(
    decode(reported),
    (error) =>
      `its \`capabilities\` are not lists of texts named read, write, net or env (${error.message.slice(0, 300)})`
  )

/** The declared entries that nothing granted covers; nothing missing is `undefined`. */
export const missingCapabilities = (
  declared: DeclaredCapabilities,
  granted: Grants,
  /** Relative paths are taken from here, on both sides. */
  base: string
): Grants | undefined => {
  const missingFiles = (
    asked: ReadonlyArray<string>,
    given: ReadonlyArray<string>
  ): ReadonlyArray<string> => {
    const folders = given.map((file) => path.resolve(base, file))
    return asked.filter((file) => !folders.some((folder) => contains(folder, path.resolve(base, file))))
  }
  const net = parseNetGrants(granted.net ?? []).grants
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

/** A path as one would write it in a config file: below the workspace, relative to it. */
const written = (file: string, base: string): string => {
  const absolute = path.resolve(base, file)
  if (!contains(base, absolute)) return absolute
  return `./${path.relative(base, absolute).replaceAll(path.sep, "/")}`
}

/** The line for a config file that grants both what is granted and what is missing. */
export const grantsSnippet = (granted: Grants, missing: Grants, base: string): string => {
  const fields = (["read", "write", "net", "env"] as const).flatMap((kind) => {
    const all = [...(granted[kind] ?? []), ...(missing[kind] ?? [])]
    const texts = kind === "read" || kind === "write" ? all.map((file) => written(file, base)) : all
    return texts.length === 0 ? [] : [`${kind}: ${JSON.stringify([...new Set(texts)])}`]
  })
  return `grants: { ${fields.join(", ")} }`
}

/** Why a plugin must not be loaded with these grants: a `LOAD_ERROR`'s reason, with the line to paste; or `undefined`. */
export const capabilitiesProblem = (
  declared: DeclaredCapabilities,
  granted: Grants,
  base: string
): string | undefined => {
  const wrong = (declared.net ?? []).flatMap((text) => {
    const entry = parseNetEntry(text)
    return Result.isFailure(entry) ? [entry.failure.replace(/^grants\./, "its capabilities.")] : []
  })
  if (wrong.length > 0) return wrong.join("; ")
  const missing = missingCapabilities(declared, granted, base)
  if (missing === undefined) return undefined
  const asked = Object.entries(missing).map(([kind, entries]) => `${kind} ${entries.join(", ")}`)
  return `it declares to need what it is not granted: ${asked.join("; ")}. To grant it, write in its entry of the config file:\n  ${grantsSnippet(granted, missing, base)}`
}
