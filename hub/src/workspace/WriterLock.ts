/**
 * Allows one hub per workspace.
 *
 * **Details**
 *
 * - A hub holds a SQLite lock on `.agentlip/locks/writer.mutex` while it runs. The kernel frees it when the process
 *   ends, however it ends. A copy of the folder is not locked.
 * - `writer.lock` names the process that holds the workspace: see Holder.ts.
 *
 * **Gotchas**: a process loses its lock when it closes any descriptor of the mutex. So only this module opens it, and
 * never while this process holds it.
 */
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { timestamp } from "../timestamp.ts"
import { addressOf, Holder, holderOf, lockFileOf, lockName, runningHolder, thisProcess } from "./Holder.ts"
import * as SafeFiles from "./SafeFiles.ts"
import { Workspace } from "./Workspace.ts"

/**
 * Another process has the workspace: a hub, or a command that needs the database for itself. `holder` is the process, if
 * `writer.lock` names one that runs. `url` is its address, if it is a hub and `server.json` is its own.
 */
export class WorkspaceLocked extends Schema.TaggedError<WorkspaceLocked>("@agentlip/hub/WorkspaceLocked")(
  "WorkspaceLocked",
  { file: Schema.String, holder: Schema.optionalKey(Holder), url: Schema.optionalKey(Schema.String) }
) {
  override get message(): string {
    if (this.holder === undefined) {
      return (
        `Another process holds the lock of this workspace (${this.file}), and ${lockName} beside it does not name a ` +
        "process that runs here. Stop the hub where it runs, or choose another workspace. If no hub runs, the file " +
        "system may not support locks: use a local disk."
      )
    }
    const { pid, started_at } = this.holder
    return this.url === undefined
      ? `Process ${pid}, started ${started_at} (${this.file}), has the database of this workspace: a hub that starts or ` +
          "whose server.json is missing, or a command such as agentlip prune. Wait until it ends, " +
          `stop it (kill ${pid}; a prune --vacuum that writes the file still finishes), or choose another workspace.`
      : `A hub already runs on this workspace at ${this.url}: process ${pid}, started ${started_at} (${this.file}). ` +
          `Use that hub, stop it (kill ${pid}), or choose another workspace.`
  }
}

/** The lock's files cannot be used, so it is unknown whether a hub runs. */
export class LockUnusable extends Schema.TaggedError<LockUnusable>("@agentlip/hub/LockUnusable")(
  "LockUnusable",
  { file: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return (
      `The hub cannot use its lock file ${this.file}: ${this.reason}. ` +
      "Make sure that you may write to the file and its folder, and that the disk works and has room, " +
      "then start again."
    )
  }
}

/** The file with the lock. */
export const mutexFileOf = (folder: string): string => path.join(folder, "locks", "writer.mutex")

const hasCode = (cause: unknown, ...codes: ReadonlyArray<number>): boolean =>
  cause instanceof Error && "errcode" in cause && codes.includes(Number(cause.errcode) & 0xff)

const busy = [5, 6]
const notADatabase = 26

/** How long to wait for somebody who only looks whether the lock is held, in milliseconds. */
const patience = 500

/** The mutexes that this process holds, by device and inode: a path can lead through links. */
const held = new Set<string>()

const keyOf = (file: string): string => {
  const stats = SafeFiles.statOf(file)
  return stats === undefined ? "" : `${stats.dev}:${stats.ino}`
}

/** Locks the file until the returned function is called; `undefined` if another process or this one has locked it. */
const lock = (file: string): (() => void) | undefined => {
  if (held.has(keyOf(file))) return undefined
  SafeFiles.prepareDatabase(file)
  const mutex = new DatabaseSync(file, { timeout: patience })
  try {
    // Nothing is written, so there is nothing to roll back. Otherwise SQLite would create a journal.
    mutex.exec("PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE")
  } catch (cause) {
    mutex.close()
    if (hasCode(cause, ...busy)) return undefined
    throw cause
  }
  const key = keyOf(file)
  held.add(key)
  return () => {
    held.delete(key)
    mutex.close()
  }
}

/** Like `lock`, but empties a file of another format first. Emptying a file that is locked would harm nobody. */
const lockAnyFile = (file: string): (() => void) | undefined => {
  try {
    return lock(file)
  } catch (cause) {
    if (!hasCode(cause, notADatabase)) throw cause
    fs.truncateSync(file)
    return lock(file)
  }
}

/** True if a hub runs on the workspace. Throws if that cannot be found out. */
export const isHeld = (folder: string): boolean => {
  const file = mutexFileOf(folder)
  if (held.has(keyOf(file))) return true
  if (!SafeFiles.requireDatabase(file)) return false
  const mutex = new DatabaseSync(file, { readOnly: true, timeout: 0 })
  try {
    mutex.prepare("SELECT count(*) FROM sqlite_schema").get()
    return false
  } catch (cause) {
    if (hasCode(cause, ...busy)) return true
    // A hub would have emptied it.
    if (hasCode(cause, notADatabase)) return false
    throw cause
  } finally {
    mutex.close()
  }
}

export class WriterLock extends Context.Service<WriterLock, Holder>()("@agentlip/hub/WriterLock") {
  /**
   * Holds the workspace until the scope closes. Fails with `WorkspaceLocked` if another process holds it, and with
   * `LockUnusable` if the lock's files cannot be used.
   */
  static readonly layer: Layer.Layer<WriterLock, WorkspaceLocked | LockUnusable, Workspace> = Layer.effect(
    WriterLock,
    Effect.gen(function* () {
      const { folder, serverFile } = yield* Workspace
      const file = lockFileOf(folder)
      const mutex = mutexFileOf(folder)
      const mine = thisProcess(yield* timestamp)
      const unusable = (cause: unknown) =>
        new LockUnusable({
          file: cause instanceof SafeFiles.UnsafeFile ? cause.file : mutex,
          reason: cause instanceof Error ? cause.message : String(cause)
        })

      const take = (): (() => void) | undefined => {
        SafeFiles.makeFolder(path.dirname(file))
        const unlock = lockAnyFile(mutex)
        if (unlock === undefined) return undefined
        try {
          SafeFiles.replace(file, `${JSON.stringify(mine, null, 2)}\n`)
          return unlock
        } catch (cause) {
          unlock()
          throw cause
        }
      }

      // A hub that has just taken the lock may not have written its name yet.
      const locked = Effect.sync(() => runningHolder(folder)).pipe(
        Effect.repeat({
          until: (holder) => holder !== undefined,
          schedule: Schedule.spaced("50 millis"),
          times: 20
        }),
        Effect.flatMap((holder) =>
          Effect.fail(
            new WorkspaceLocked({
              file: mutex,
              ...(holder === undefined ? {} : { holder, ...addressOf(serverFile, holder) })
            })
          )
        )
      )

      const release = (unlock: () => void) =>
        Effect.try({
          try: () => {
            if (holderOf(folder)?.instance_id === mine.instance_id) fs.rmSync(file, { force: true })
          },
          catch: unusable
        }).pipe(
          Effect.catch((error) => Effect.logWarning(`${lockName} was not removed`, error)),
          Effect.ensuring(Effect.sync(unlock))
        )

      yield* Effect.acquireRelease(
        Effect.flatMap(Effect.try({ try: take, catch: unusable }), (unlock) =>
          unlock === undefined ? locked : Effect.succeed(unlock)
        ),
        release
      )
      return WriterLock.of(mine)
    })
  )
}
