/**
 * Versions of Node with known holes. Isolation levels, `agentlip doctor`, the `engines` of the packages and
 * docs/capabilities.md all use this one table.
 */
import { Result } from "effect"
import { type PrepareError, unprepared } from "../PrepareError.ts"

/** A known hole in Node's permissions or decoders. */
export interface Hole {
  readonly what: string
  /**
   * The first version without it, of each release line; oldest first. Newer lines do not have it. A line between that is
   * not named never gets the fix.
   */
  readonly fixedIn: ReadonlyArray<string>
  /** What in this library closes it. Absent if nothing does: then threads and processes are refused. */
  readonly heldBy?: string
}

/** Node before 24 has no permissions that could hold a plugin. */
export const holes: ReadonlyArray<Hole> = [
  {
    what: "a grant of /a can also grant /ab, at a fork of Node's tree of paths",
    fixedIn: ["24.18.1", "26.5.1"]
  },
  {
    // `permission.drop` takes that away.
    what: "a thread can read the host's working directory without a grant",
    fixedIn: ["24.20.0", "26.5.1"]
  },
  {
    what: "relative links lead out of a granted folder",
    fixedIn: ["24.13.0", "25.3.0"],
    heldBy: "a plugin has no function that makes a link"
  },
  {
    what: "futimes changes files without a grant",
    fixedIn: ["24.13.0", "25.3.0"],
    heldBy: "a plugin has no function that takes a file descriptor"
  },
  {
    what: "FileHandle changes modes and times without a grant",
    fixedIn: ["24.17.0", "26.3.1"],
    heldBy: "a plugin has no FileHandle"
  },
  {
    // Permissions of Node 24 do not cover the network at all, and nothing here relies on them for it.
    what: "Unix sockets are reached without a grant",
    fixedIn: ["24.0.0", "26.3.1"],
    heldBy: "a plugin has no sockets; the host's broker connects for it"
  },
  {
    what: "process.report writes files without a grant",
    fixedIn: ["24.18.1", "26.5.1"],
    heldBy: "a plugin's process has no report"
  },
  {
    what: "trace_events writes files without a grant",
    fixedIn: ["24.18.1", "26.5.1"],
    heldBy: "node:trace_events is not among a plugin's modules"
  },
  {
    what: "realpathSync tells whether a file exists without a grant",
    fixedIn: ["24.22.1", "26.12.1"],
    heldBy: "every path is judged before Node sees it"
  },
  {
    what: "the Brotli decoder writes out of bounds",
    fixedIn: ["24.22.1", "26.12.1"],
    heldBy: "a plugin has no decoder, and the broker does not ask servers for Brotli"
  }
]

/** A number that grows with the version. */
const order = (version: string): number =>
  version.split(/[.-]/, 3).reduce((number, part) => number * 1_000 + Number(part), 0)

const lineOf = (version: string): number => Number.parseInt(version, 10)

const isFixed = (version: string, { fixedIn }: Hole): boolean => {
  const line = lineOf(version)
  const fix = fixedIn.find((fix) => lineOf(fix) === line)
  return fix === undefined ? line > Math.max(...fixedIn.map(lineOf)) : order(version) >= order(fix)
}

export const holesOf = (version: string): ReadonlyArray<Hole> =>
  holes.filter((hole) => !isFixed(version, hole))

/** The first version of each release line that has none of some holes. */
const firstWithout = (some: ReadonlyArray<Hole>): ReadonlyArray<string> => {
  const sound = some
    .flatMap(({ fixedIn }) => fixedIn)
    .filter((version) => some.every((hole) => isFixed(version, hole)))
    .toSorted((a, b) => order(a) - order(b))
  return sound.filter((version, at) => at === 0 || lineOf(version) !== lineOf(sound[at - 1] ?? ""))
}

/** The oldest supported version of each release line. */
export const floors = firstWithout(holes.filter(({ heldBy }) => heldBy === undefined))
/** The oldest version of each release line without any known hole. */
export const sound = firstWithout(holes)

/** The floors as a range of versions, for the `engines` of a package.json. */
export const range = floors
  .map((floor, at) => (at === floors.length - 1 ? `>=${floor}` : `>=${floor} <${lineOf(floor) + 1}`))
  .join(" || ")

/** `Node 24.20.0 or 26.5.1, or newer` */
export const toInstall = (versions: ReadonlyArray<string> = floors): string =>
  `Node ${versions.join(" or ")}, or newer`

/** Checks that a level can hold plugins on a version of Node. */
export const checkEngine = (
  level: "thread" | "process",
  version: string
): Result.Result<void, PrepareError> => {
  const open = holesOf(version).filter(({ heldBy }) => heldBy === undefined)
  if (open.length === 0) return Result.void
  const known = open.map(({ what }) => what).join(", and ")
  return Result.fail(
    unprepared(
      `isolation "${level}" cannot hold plugins on Node ${version}: ${known}`,
      `install ${toInstall()}`
    )
  )
}

/** What an operator should know, and what to do. */
export interface EngineWarning {
  readonly reason: string
  readonly remedy: string
}

/** The warning about a version of Node that holds plugins despite known holes; `undefined` if it has none. */
export const engineWarning = (version: string): EngineWarning | undefined => {
  const open = holesOf(version)
  if (open.length === 0) return undefined
  const known = open.map(({ what, heldBy }) => `${what} (${heldBy ?? "refused"})`).join(", ")
  return {
    reason: `Node ${version} has known holes that this library closes by itself: ${known}`,
    remedy: `install ${toInstall(sound)}`
  }
}
