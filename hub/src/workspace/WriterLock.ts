/** Allows one hub per workspace. `.agentlip/locks/writer.lock` names the process that writes to the database. */
import { Context, Effect, Layer, Option, Schema } from "effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { timestamp } from "../timestamp.ts"
import * as SafeFiles from "./SafeFiles.ts"
import { Workspace } from "./Workspace.ts"

/** The content of the lock file: the process that holds the workspace. */
export const Holder = Schema.Struct({
  pid: Schema.Int.check(Schema.isGreaterThan(0)),
  instance_id: Schema.String,
  /** Clock ticks from boot to the start of the process; `null` on systems without `/proc`. */
  process_start: Schema.NullOr(Schema.String),
  started_at: Schema.String
})
export type Holder = typeof Holder.Type

/** Another hub runs on the workspace. `url` is its address, if its `server.json` has one already. */
export class WorkspaceLocked extends Schema.TaggedError<WorkspaceLocked>("@agentlip/hub/WorkspaceLocked")(
  "WorkspaceLocked",
  { file: Schema.String, holder: Holder, url: Schema.optionalKey(Schema.String) }
) {
  override get message(): string {
    const { pid, started_at } = this.holder
    const where = this.url === undefined ? "" : ` at ${this.url}`
    return (
      `A hub already runs on this workspace${where}: process ${pid}, started ${started_at} (${this.file}). ` +
      `Use that hub, stop it (kill ${pid}), or choose another workspace.`
    )
  }
}

/** The lock file cannot be read or written, so it is unknown whether a hub runs. */
export class LockUnusable extends Schema.TaggedError<LockUnusable>("@agentlip/hub/LockUnusable")(
  "LockUnusable",
  { file: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return (
      `The hub cannot use its lock file ${this.file}: ${this.reason}. ` +
      "Make sure that no hub runs on this workspace and that you may write to the file's folder, " +
      "then delete the file and start again."
    )
  }
}

const decodeHolder = Schema.decodeUnknownSync(Schema.fromJsonString(Holder))
const decodeServer = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ host: Schema.String, port: Schema.Int, instance_id: Schema.String }))
)

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

/** The lock file of a workspace's `.agentlip/`. */
export const lockFileOf = (folder: string): string => path.join(folder, "locks", "writer.lock")

/**
 * The holder in the lock file, which may have died; `undefined` if there is no lock file. Throws if it is unreadable.
 */
export const holderOf = (folder: string): Holder | undefined => {
  const text = SafeFiles.read(lockFileOf(folder))
  return text === undefined ? undefined : decodeHolder(text)
}

const urlOf = (serverFile: string, { instance_id }: Holder): { readonly url?: string } => {
  try {
    return Option.match(decodeServer(SafeFiles.read(serverFile)), {
      onNone: () => ({}),
      onSome: ({ host, port, instance_id: owner }) =>
        owner === instance_id ? { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}` } : {}
    })
  } catch {
    // The URL is optional in the error message.
    return {}
  }
}

/**
 * Runs while no other process runs this function. It uses a SQLite lock, which the kernel frees when the process dies.
 * A second lock file could be left behind and lock everyone out.
 */
const alone = <A>(folder: string, run: () => A): A => {
  const file = path.join(folder, "writer.mutex")
  SafeFiles.prepareDatabase(file)
  const mutex = new DatabaseSync(file, { timeout: 5_000 })
  try {
    mutex.exec("BEGIN EXCLUSIVE")
    return run()
  } finally {
    mutex.close()
  }
}

export class WriterLock extends Context.Service<WriterLock, Holder>()("@agentlip/hub/WriterLock") {
  /**
   * Holds the workspace until the scope closes. Replaces a holder whose process is gone or whose process id was
   * reused. Fails with `WorkspaceLocked` if the holder is alive.
   *
   * **Gotchas**: holders are compared by process id, so hubs in two containers must not share a workspace.
   */
  static readonly layer: Layer.Layer<WriterLock, WorkspaceLocked | LockUnusable, Workspace> = Layer.effect(
    WriterLock,
    Effect.gen(function* () {
      const { folder, serverFile } = yield* Workspace
      const file = lockFileOf(folder)
      const locks = path.dirname(file)
      const mine: Holder = {
        pid: process.pid,
        instance_id: randomUUID(),
        process_start: startOf(process.pid) ?? null,
        started_at: yield* timestamp
      }

      const holder = () => holderOf(folder)
      const unusable = (cause: unknown) =>
        new LockUnusable({ file, reason: cause instanceof Error ? cause.message : String(cause) })

      const take = (): Holder | undefined => {
        SafeFiles.makeFolder(locks)
        return alone(locks, () => {
          const other = holder()
          if (other !== undefined && isAlive(other)) return other
          SafeFiles.replace(file, `${JSON.stringify(mine, null, 2)}\n`)
          return undefined
        })
      }

      const release = Effect.try({
        try: () =>
          alone(locks, () => {
            if (holder()?.instance_id === mine.instance_id) fs.rmSync(file, { force: true })
          }),
        catch: unusable
      }).pipe(
        // The remaining file names a process that is about to end, so the next hub can take over.
        Effect.catch((error) => Effect.logWarning("the workspace's lock was not removed", error))
      )

      yield* Effect.acquireRelease(
        Effect.flatMap(Effect.try({ try: take, catch: unusable }), (other) =>
          other === undefined
            ? Effect.void
            : Effect.fail(new WorkspaceLocked({ file, holder: other, ...urlOf(serverFile, other) }))
        ),
        () => release
      )
      return WriterLock.of(mine)
    })
  )
}
