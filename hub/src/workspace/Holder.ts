/**
 * The process that holds a workspace, as `writer.lock` names it: information for people and for `agentlip down`. Its
 * content never keeps a hub from starting.
 */
import { Option, Schema } from "effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { parseServerFile, urlOf } from "@agentlip/protocol"
import * as SafeFiles from "./SafeFiles.ts"

/** The content of the lock file: the process that holds the workspace. */
export const Holder = Schema.Struct({
  pid: Schema.Int.check(Schema.isGreaterThan(0)),
  instance_id: Schema.String,
  /** Clock ticks from boot to the start of the process; `null` on systems without `/proc`. */
  process_start: Schema.NullOr(Schema.String),
  started_at: Schema.String
})
export type Holder = typeof Holder.Type

const decodeHolder = Schema.decodeUnknownOption(Schema.fromJsonString(Holder))

/** When a process started; `null` if the system does not tell; `undefined` if it is gone or a zombie. */
const startOf = (pid: number): string | null | undefined => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // Any other error, such as EPERM, means that the process is alive.
    if (cause instanceof Error && "code" in cause && cause.code === "ESRCH") return undefined
  }
  try {
    // Field 2 is a name in parentheses with any characters. Field 3 is the state, field 22 the start.
    const [state, ...fields] = fs
      .readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
    return state === "Z" || state === "X" ? undefined : (fields[18] ?? null)
  } catch {
    // There is no /proc, or it hides other users' processes, so only the id can be compared.
    return null
  }
}

/** True if the process that wrote the lock still runs. Ids are reused, but not with the same start time. */
export const isAlive = ({ pid, process_start }: Holder): boolean => {
  const start = startOf(pid)
  return start !== undefined && (start === null || process_start === null || start === process_start)
}

export const lockName = "writer.lock"

/** The file that names the hub of a workspace, in its `.agentlip/`. */
export const lockFileOf = (folder: string): string => path.join(folder, "locks", lockName)

/**
 * The holder that `writer.lock` names, which may have died; `undefined` if the file is missing or of another format.
 * Throws if it cannot be read.
 */
export const holderOf = (folder: string): Holder | undefined =>
  Option.getOrUndefined(decodeHolder(SafeFiles.read(lockFileOf(folder))))

/** The holder, if `writer.lock` names a process that runs. */
export const runningHolder = (folder: string): Holder | undefined => {
  try {
    const holder = holderOf(folder)
    return holder !== undefined && isAlive(holder) ? holder : undefined
  } catch {
    // The error message then names no process.
    return undefined
  }
}

/** The address of a holder, if it is a hub and `server.json` is its own. */
export const addressOf = (serverFile: string, { instance_id }: Holder): { readonly url?: string } => {
  try {
    const parsed = parseServerFile(SafeFiles.read(serverFile) ?? "")
    return "server" in parsed && parsed.server.instance_id === instance_id
      ? { url: urlOf(parsed.server) }
      : {}
  } catch {
    // The URL is optional in the error message.
    return {}
  }
}

/** This process. */
export const thisProcess = (started_at: string): Holder => ({
  pid: process.pid,
  instance_id: randomUUID(),
  process_start: startOf(process.pid) ?? null,
  started_at
})
