/** Resolves the `exports` and `imports` of a package.json by the algorithm in Node's documentation of packages. */
import { LoadProblem } from "./LoadProblem.ts"
import type { Manifest } from "./packageManifest.ts"

type Targets = { readonly [key: string]: unknown }

const isMap = (value: unknown): value is Targets =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The context of a target. Targets in `imports` may lead to another package, targets in `exports` may not. */
interface Use {
  readonly manifest: Manifest
  readonly field: "exports" | "imports"
  /** The requested name: `.`, `./sub` or `#name`. */
  readonly name: string
  readonly conditions: ReadonlySet<string>
}

const invalid = ({ manifest, field, name }: Use, target: unknown): LoadProblem =>
  new LoadProblem(`Invalid "${field}" target ${JSON.stringify(target)} for "${name}" in ${manifest.file}.`)

/** Whether a path has a segment that could lead out of its package. */
const leavesPackage = (path: string): boolean =>
  path.split(/[/\\]/).some((segment) => /^(?:|\.|\.\.|%2e|\.%2e|%2e\.|%2e%2e|node_modules)$/i.test(segment))

const textTarget = (use: Use, target: string, matched: string | undefined): string => {
  const filled = (text: string): string =>
    matched === undefined ? text : text.replaceAll("*", () => matched)
  if (!target.startsWith("./")) {
    const isName = use.field === "imports" && !/^(?:\.\.?\/|\/|[a-z][a-z\d+.-]*:)/i.test(target)
    if (!isName) throw invalid(use, target)
    return filled(target)
  }
  if (leavesPackage(target.slice(2))) throw invalid(use, target)
  if (matched !== undefined && leavesPackage(matched.replace(/\/$/, ""))) throw invalid(use, target)
  return filled(target)
}

/** `undefined` if no condition matches; `null` if the package closes the path. */
const targetOf = (use: Use, target: unknown, matched: string | undefined): string | null | undefined => {
  if (typeof target === "string") return textTarget(use, target, matched)
  if (target === null) return null
  if (Array.isArray(target)) {
    let last: LoadProblem | undefined
    for (const item of target) {
      try {
        const found = targetOf(use, item, matched)
        if (found !== undefined && found !== null) return found
      } catch (error) {
        if (!(error instanceof LoadProblem)) throw error
        last = error
      }
    }
    if (last !== undefined) throw last
    return target.length === 0 ? null : undefined
  }
  if (!isMap(target)) throw invalid(use, target)
  for (const [condition, value] of Object.entries(target)) {
    if (condition !== "default" && !use.conditions.has(condition)) continue
    const found = targetOf(use, value, matched)
    if (found !== undefined) return found
  }
  return undefined
}

/** Sorts the more specific pattern first: the longest text before the star, then the longest key. */
const bySpecificity = (one: string, other: string): number =>
  other.indexOf("*") - one.indexOf("*") || other.length - one.length

const inMap = (use: Use, map: Targets): string | null | undefined => {
  const { name } = use
  if (Object.hasOwn(map, name) && !name.includes("*")) return targetOf(use, map[name], undefined)
  const patterns = Object.keys(map).filter(
    (key) => key.indexOf("*") >= 0 && key.indexOf("*") === key.lastIndexOf("*")
  )
  for (const key of patterns.sort(bySpecificity)) {
    const [before = "", after = ""] = key.split("*")
    if (name === before || !name.startsWith(before) || !name.endsWith(after) || name.length < key.length)
      continue
    return targetOf(use, map[key], name.slice(before.length, name.length - after.length))
  }
  return undefined
}

/** The path in the package, starting with `./`, that its `exports` give for `subpath` (`.` or `./sub`). */
export const exportOf = (manifest: Manifest, subpath: string, conditions: ReadonlySet<string>): string => {
  const use: Use = { manifest, field: "exports", name: subpath, conditions }
  const { exports } = manifest
  const keys = isMap(exports) ? Object.keys(exports) : []
  const dotted = keys.filter((key) => key.startsWith("."))
  if (dotted.length > 0 && dotted.length < keys.length) {
    throw new LoadProblem(`The "exports" of ${manifest.file} mix conditions and paths; correct them.`, {
      ofPackage: true
    })
  }
  let target: string | null | undefined
  if (isMap(exports) && dotted.length > 0) target = inMap(use, exports)
  else if (subpath === ".") target = targetOf(use, exports, undefined)
  if (target !== undefined && target !== null) return target
  throw new LoadProblem(
    subpath === "."
      ? `the "exports" of ${manifest.file} have no main entry for these conditions`
      : `Package subpath '${subpath}' is not defined by "exports" in ${manifest.file}`,
    { ofPackage: true }
  )
}

/** The target of `#name`: a path in the package, starting with `./`, or the name of another package. */
export const importOf = (manifest: Manifest, name: string, conditions: ReadonlySet<string>): string => {
  const target = isMap(manifest.imports)
    ? inMap({ manifest, field: "imports", name, conditions }, manifest.imports)
    : undefined
  if (target !== undefined && target !== null) return target
  throw new LoadProblem(`"${name}" is not among the "imports" of ${manifest.file}`)
}
