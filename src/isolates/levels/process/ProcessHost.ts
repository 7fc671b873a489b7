/** Finds what this machine offers to run plugins in processes. */
import { Effect, Result } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { checkEngine, toInstall } from "../../../capabilities/engines.ts"
import { type PrepareError, unprepared } from "../../../PrepareError.ts"
import { bootReads } from "../../guestFiles.ts"
import { canReach, findExecutable, type User } from "./executables.ts"

/** What this machine offers for processes. */
export interface ProcessHost {
  /** Path of a Node executable. */
  readonly node: string
  /** The user that guests run as. Absent: the host's user. */
  readonly user?: User
  /** Path of a setpriv with which the kernel ends a process when its parent ends. Searched with the first process. */
  readonly setpriv: Effect.Effect<string | undefined>
  /** Logged when the first plugin runs. */
  readonly warning?: string
}

/** The user that guests run as if the hub is root: `nobody`, as on every Unix. */
const nobody: User = { uid: 65534, gid: 65534 }

const remedy = `install ${toInstall()}, or name its path as the option \`node\``

const askVersion = (node: string): Effect.Effect<string, PrepareError> =>
  Effect.callback((resume) => {
    execFile(node, ["--version"], { timeout: 5_000 }, (error, stdout) => {
      const version = /^v(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
      if (error === null && version !== undefined) return resume(Effect.succeed(version))
      const found = error === null ? stdout.trim().slice(0, 200) : error.message
      resume(Effect.fail(unprepared(`isolation "process" needs Node, and ${node} is ${found}`, remedy)))
    })
  })

/** The Node for guests: the named one, else this one, else (on Bun) an installed one. */
const findNode = Effect.fnUntraced(function* (
  named: string | undefined
): Effect.fn.Return<string, PrepareError> {
  const isNode = process.versions.bun === undefined
  const node = named ?? (isNode ? process.execPath : findExecutable("node"))
  if (node === undefined)
    return yield* unprepared('isolation "process" needs Node, and no `node` is on the PATH', remedy)
  if (!fs.existsSync(node))
    return yield* unprepared(
      `isolation "process": the file ${node} does not exist`,
      "correct the option `node`"
    )
  const version = isNode && node === process.execPath ? process.versions.node : yield* askVersion(node)
  const checked = checkEngine("process", version)
  if (Result.isSuccess(checked)) return node
  const { reason, remedy: install } = checked.failure
  return yield* unprepared(reason, `${install}, or name another as the option \`node\` (this is ${node})`)
})

/** A setpriv (of util-linux) that works here. The launcher does not quote its path, so the path must need no quotes. */
const findSetpriv: Effect.Effect<string | undefined> = Effect.suspend(() => {
  const setpriv = process.platform === "linux" ? findExecutable("setpriv") : undefined
  if (setpriv === undefined || !/^[\w./-]+$/.test(setpriv)) return Effect.succeed(undefined)
  return Effect.callback<string | undefined>((resume) => {
    execFile(setpriv, ["--pdeathsig", "KILL", "--no-new-privs", "--", "true"], { timeout: 5_000 }, (error) =>
      resume(Effect.succeed(error === null ? setpriv : undefined))
    )
  })
})

/** A file that a guest needs to start and that `nobody` cannot read. */
const unreadable = (node: string): string | undefined =>
  [node, ...bootReads].find((file) => !canReach(nobody, file, "read"))

export interface ProcessHostOptions {
  readonly node?: string | undefined
  readonly user?: "host" | User | undefined
}

/** Looks at the machine. Fails if it cannot run plugins in processes. */
export const findProcessHost = Effect.fnUntraced(function* (
  options: ProcessHostOptions
): Effect.fn.Return<ProcessHost, PrepareError> {
  if (process.platform === "win32") {
    return yield* unprepared('isolation "process" is not available on Windows', 'use "thread" or "wasm"')
  }
  const node = yield* findNode(options.node)
  const host = { node, setpriv: yield* Effect.cached(findSetpriv) }
  if (typeof options.user === "object") return { ...host, user: options.user }
  if (options.user === "host" || process.getuid?.() !== 0) return host
  const blocked = unreadable(node)
  if (blocked === undefined) return { ...host, user: nobody }
  const warning = `Plugin processes run as root, like the hub: user ${nobody.uid} could not read ${blocked}. Install the hub where all users can read it, run it as another user than root, or set \`user: "host"\` if you want this.`
  return { ...host, warning }
})
