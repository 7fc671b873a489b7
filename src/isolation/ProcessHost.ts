/** What a machine has to run plugins in processes. */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { bootReads } from "./boot.ts"
import { canReach, findExecutable, type User } from "./executables.ts"
import type { ProcessHost } from "./process.ts"

/** Whom guests run as, where the hub is root: nobody, as every Unix has it. */
const nobody: User = { uid: 65534, gid: 65534 }

const oldestNode = 24

/** A Node for guests: the one this is, or (on Bun) one that is installed. Fails with the remedy. */
const findNode: Effect.Effect<string, string> = Effect.suspend(() => {
  if (process.versions.bun === undefined) return Effect.succeed(process.execPath)
  const node = findExecutable("node")
  const remedy = `install Node ${oldestNode} or newer, or name its path as the option \`node\``
  if (node === undefined)
    return Effect.fail(`isolation "process" needs Node, and no \`node\` is on the PATH; ${remedy}`)
  return Effect.callback<string, string>((resume) => {
    execFile(node, ["--version"], { timeout: 5_000 }, (error, stdout) => {
      const major = Number(/^v(\d+)/.exec(stdout)?.[1])
      if (error === null && major >= oldestNode) return resume(Effect.succeed(node))
      const found = error === null ? stdout.trim() : error.message
      resume(
        Effect.fail(`isolation "process" needs Node ${oldestNode} or newer, ${node} is ${found}; ${remedy}`)
      )
    })
  })
})

/** A setpriv (of util-linux) that works here; the launcher quotes no path, so that it must need no quotes. */
const findSetpriv: Effect.Effect<string | undefined> = Effect.suspend(() => {
  const setpriv = process.platform === "linux" ? findExecutable("setpriv") : undefined
  if (setpriv === undefined || !/^[\w./-]+$/.test(setpriv)) return Effect.succeed(undefined)
  return Effect.callback<string | undefined>((resume) => {
    execFile(setpriv, ["--pdeathsig", "KILL", "--no-new-privs", "--", "true"], { timeout: 5_000 }, (error) =>
      resume(Effect.succeed(error === null ? setpriv : undefined))
    )
  })
})

/** Why a guest that runs as nobody could not even start. */
const unreadable = (node: string): string | undefined =>
  [node, ...bootReads].find((file) => !canReach(nobody, file, "read"))

export interface ProcessHostOptions {
  readonly node?: string | undefined
  readonly user?: "host" | User | undefined
}

/** Looks at the machine; fails with why there can be no processes, and the remedy. */
export const findProcessHost = (options: ProcessHostOptions): Effect.Effect<ProcessHost, string> =>
  Effect.gen(function* () {
    if (process.platform === "win32") {
      return yield* Effect.fail('isolation "process" is not available on Windows; use "thread" or "wasm"')
    }
    const setpriv = yield* findSetpriv
    const node = options.node ?? (yield* findNode)
    if (!fs.existsSync(node))
      return yield* Effect.fail(`isolation "process": there is no file ${node}; correct the option \`node\``)
    const host = { node, ...(setpriv === undefined ? {} : { setpriv }) }
    if (typeof options.user === "object") return { ...host, user: options.user }
    if (options.user === "host" || process.getuid?.() !== 0) return host
    const blocked = unreadable(node)
    if (blocked === undefined) return { ...host, user: nobody }
    const warning = `Plugin processes run as root, like the hub: user ${nobody.uid} could not read ${blocked}. Install the hub where all users can read it, run it as another user than root, or say \`user: "host"\` if this is what you want.`
    return { ...host, warning }
  })
