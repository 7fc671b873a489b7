/** One hub per workspace: `.agentlip/locks/writer.lock` says which process writes to the database. */
import { Context, Effect, Layer, Option, Schema } from "effect"
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { timestamp } from "../timestamp.ts"
import * as SafeFiles from "./SafeFiles.ts"
import { Workspace } from "./Workspace.ts"

/** Who holds a workspace, as its lock file says it. */
export const Holder = Schema.Struct({
  pid: Schema.Int.check(Schema.isGreaterThan(0)),
  instance_id: Schema.String,
  /** Clock ticks from boot to the process's start; `null` where there is no `/proc`. */
  process_start: Schema.NullOr(Schema.String),
  started_at: Schema.String
})
export type Holder = typeof Holder.Type

/** Another hub runs on the workspace. `url` is where it answers, once it has said so in `server.json`. */
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

/** The lock can be neither read nor written, so nobody can tell whether a hub runs. */
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

/** When a process started, `null` where the system does not tell; `undefined` when it is gone or a zombie. */
const startOf = (pid: number): string | null | undefined => {
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // Any other refusal (EPERM) comes from a process that lives.
    if (cause instanceof Error && "code" in cause && cause.code === "ESRCH") return undefined
  }
  try {
    // The second field, a name in parentheses, may hold anything; the third is the state, the 22nd the start.
    const [state, ...fields] = fs
      .readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")
    return state === "Z" || state === "X" ? undefined : (fields[18] ?? null)
  } catch {
    // No /proc here, or one that hides others' processes: the id alone has to do.
    return null
  }
}

/** Whether the process that wrote a lock still runs: an id is used again, but not with the same start. */
export const isAlive = ({ pid, process_start }: Holder): boolean => {
  const start = startOf(pid)
  return start !== undefined && (start === null || process_start === null || start === process_start)
}

/** The lock file of a workspace's `.agentlip/`. */
export const lockFileOf = (folder: string): string => path.join(folder, "locks", "writer.lock")

/** Who holds a workspace or left its lock behind; `undefined`: nobody. Throws where that cannot be read. */
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
    // Only a courtesy in a message that is complete without it.
    return {}
  }
}

/**
 * Runs alone among all processes. SQLite's own lock is the kernel's and ends with the process that has it,
 * so that, unlike with a second lock file, nobody can die in between and leave others locked out.
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
   * Holds the workspace until the scope ends. A holder whose process is gone, or whose process id another
   * process has now, is replaced; one that lives fails the layer with `WorkspaceLocked`.
   *
   * **Gotchas**: processes are told apart by id, so hubs in two containers must not share a workspace.
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
        // What stays behind names a process that is about to end: the next hub takes it over.
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
