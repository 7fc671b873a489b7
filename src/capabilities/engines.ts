/**
 * Versions of Node with known holes in what holds plugins: the one table that levels, `agentlip doctor`, the
 * `engines` of the packages and docs/security.md go by.
 */
import { Result } from "effect"
import { type PrepareError, unprepared } from "../PrepareError.ts"

/** What is broken in Node's permissions or decoders, where it is fixed, and what that means here. */
export interface Hole {
  readonly what: string
  /**
   * By release line: the first version without it. A newer line than the last one named never had it or has it fixed;
   * a line between that is not named has it for good.
   */
  readonly fixedIn: { readonly [line: number]: string }
  /** Whose plugins it would let out: those levels are refused. None: see `heldBy`. */
  readonly letsOut: ReadonlyArray<"thread" | "process">
  /** What of this library's own stands in its way. */
  readonly heldBy?: string
}

/** Oldest line first; a line that is not named below 24 has no permissions worth the name. */
export const holes: ReadonlyArray<Hole> = [
  {
    what: "a grant of /a can also grant /ab, at a fork of Node's tree of paths",
    fixedIn: { 24: "24.18.1", 26: "26.5.1" },
    letsOut: ["thread", "process"]
  },
  {
    what: "relative links lead out of a granted folder",
    fixedIn: { 24: "24.13.0", 25: "25.3.0" },
    letsOut: [],
    heldBy: "a plugin has no function that makes a link"
  },
  {
    what: "futimes changes files without a grant",
    fixedIn: { 24: "24.13.0", 25: "25.3.0" },
    letsOut: [],
    heldBy: "a plugin has no function that takes a file descriptor"
  },
  {
    what: "FileHandle changes modes and times without a grant",
    fixedIn: { 24: "24.17.0", 26: "26.3.1" },
    letsOut: [],
    heldBy: "a plugin has no FileHandle"
  },
  {
    // Permissions of Node 24 do not speak of the network at all: nothing is relied on there.
    what: "Unix sockets are reached without a grant",
    fixedIn: { 24: "24.0.0", 26: "26.3.1" },
    letsOut: [],
    heldBy: "a plugin has no sockets; the host's broker connects for it"
  },
  {
    what: "process.report writes files without a grant",
    fixedIn: { 24: "24.18.1", 26: "26.5.1" },
    letsOut: [],
    heldBy: "a plugin's process has no report"
  },
  {
    what: "trace_events writes files without a grant",
    fixedIn: { 24: "24.18.1", 26: "26.5.1" },
    letsOut: [],
    heldBy: "node:trace_events is not among a plugin's modules"
  },
  {
    what: "realpathSync tells whether a file exists without a grant",
    fixedIn: { 24: "24.22.1", 26: "26.12.1" },
    letsOut: [],
    heldBy: "every path is judged before Node sees it"
  },
  {
    what: "the Brotli decoder writes out of bounds",
    fixedIn: { 24: "24.22.1", 26: "26.12.1" },
    letsOut: [],
    heldBy: "a plugin has no decoder, and the broker does not ask servers for Brotli"
  }
]

const partsOf = (version: string): readonly [number, number, number] => {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number)
  return [major, minor, patch]
}

/** Whether `a` is `b` or newer; both `major.minor.patch`. */
const isAtLeast = (a: string, b: string): boolean => {
  const [left, right] = [partsOf(a), partsOf(b)]
  for (const [at, part] of left.entries()) {
    const other = right[at] ?? 0
    if (part !== other) return part > other
  }
  return true
}

const linesOf = (fixedIn: Hole["fixedIn"]): ReadonlyArray<number> =>
  Object.keys(fixedIn)
    .map(Number)
    .toSorted((a, b) => a - b)

const isFixed = (version: string, { fixedIn }: Hole): boolean => {
  const [line] = partsOf(version)
  const fix = fixedIn[line]
  return fix === undefined ? line > Math.max(...linesOf(fixedIn)) : isAtLeast(version, fix)
}

/** The holes of a version of Node. */
export const holesOf = (version: string): ReadonlyArray<Hole> =>
  holes.filter((hole) => !isFixed(version, hole))

/** By release line: the first version in which none of some holes is open. */
const firstWithout = (some: ReadonlyArray<Hole>): ReadonlyArray<string> => {
  const lines = new Set(some.flatMap(({ fixedIn }) => linesOf(fixedIn)))
  return [...lines]
    .toSorted((a, b) => a - b)
    .flatMap((line) => {
      const fixes = some.map(
        ({ fixedIn }) => fixedIn[line] ?? (line > Math.max(...linesOf(fixedIn)) ? `${line}.0.0` : undefined)
      )
      return fixes.includes(undefined)
        ? []
        : [
            fixes.reduce<string>(
              (newest, fix) => (isAtLeast(fix ?? "", newest) ? (fix ?? "") : newest),
              "0.0.0"
            )
          ]
    })
}

/** The oldest supported version of each release line. */
export const floors = firstWithout(holes.filter(({ letsOut }) => letsOut.length > 0))
/** The oldest version of each release line without any known hole. */
export const sound = firstWithout(holes)

/** The floors as a range of versions, for the `engines` of a package.json. */
export const range = floors
  .map((floor, at) => (at === floors.length - 1 ? `>=${floor}` : `>=${floor} <${partsOf(floor)[0] + 1}`))
  .join(" || ")

/** `Node 24.18.1 or 26.5.1, or newer` */
export const toInstall = (versions: ReadonlyArray<string> = floors): string =>
  `Node ${versions.join(" or ")}, or newer`

/** What is to be said of a version of Node, and what to do about it. */
export interface EngineNotice {
  readonly what: string
  readonly remedy: string
}

/** `what; remedy` */
export const noticeText = ({ what, remedy }: EngineNotice): string => `${what}; ${remedy}`

/** Checks that a level can hold plugins on a version of Node. */
export const checkEngine = (
  level: "thread" | "process",
  version: string
): Result.Result<void, PrepareError> => {
  const open = holesOf(version).filter(({ letsOut }) => letsOut.includes(level))
  if (open.length === 0) return Result.void
  const known = open.map(({ what }) => what).join(", and ")
  return Result.fail(
    unprepared(
      `isolation "${level}" cannot hold plugins on Node ${version}: ${known}`,
      `install ${toInstall()}`
    )
  )
}

/** What an operator should know of a version of Node on which plugins are held all the same; `undefined` if nothing. */
export const engineWarning = (version: string): EngineNotice | undefined => {
  const open = holesOf(version)
  if (open.length === 0) return undefined
  const known = open.map(({ what, heldBy }) => `${what} (${heldBy ?? "refused"})`).join(", ")
  return {
    what: `Node ${version} has known holes that this library closes by itself: ${known}`,
    remedy: `install ${toInstall(sound)}`
  }
}
