/** `agentlip prune`: removes old events and jobs, through the running hub or without one. */
import { loadConfig } from "@agentlip/plugin-runtime"
import type { Prune, PruneCounts } from "@agentlip/protocol"
import { ByteSize, Clock, Context, Duration, Effect, Layer, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import { configDefaults } from "../../plugins/configDefaults.ts"
import { fileUse } from "../../database/Vacuum.ts"
import { Pruning } from "../../retention/Pruning.ts"
import * as WithoutHub from "../../retention/WithoutHub.ts"
import { Workspace } from "../../workspace/Workspace.ts"
import { commandFor } from "../calledAs.ts"
import { CommandError, fromError } from "../CommandError.ts"
import { ageOf } from "../flags/Age.ts"
import { Trust, workspaceFolder } from "../flags/Globals.ts"
import { serviceFlags } from "../flags/ServiceFlags.ts"
import { connectTo } from "../hub/HubClient.ts"
import { type Bounds, inDatabase, run, throughHub } from "../prune/Pruner.ts"
import { writeAnew } from "../prune/writeAnew.ts"
import { counted } from "../render/counted.ts"
import { grouped } from "../render/grouped.ts"
import { show } from "../render/Output.ts"

/** Free space that is worth a hint, in bytes. */
const worthAHint = 8 * 2 ** 20

const countsText = ({ events, jobs, results, backfills }: PruneCounts): string =>
  `${counted(events, "event")}, ${counted(jobs, "job")}, ${counted(results, "cached output")} and ${counted(backfills, "backfill")}`

const resultText = ({ dry_run, total, removed, state, pruned_until }: Prune): string =>
  dry_run
    ? `Would remove ${countsText(total)}. Nothing was removed.`
    : `${state === "stopped" ? "Stopped. Removed" : "Removed"} ${countsText(removed)}.` +
      (pruned_until > 0 ? ` Events up to ${grouped(pruned_until)} are gone.` : "")

const sizeText = (bytes: number): string => ByteSize.format(ByteSize.bytes(bytes))

/** The bounds of the flags, or else of the config file. */
const boundsOf = Effect.fnUntraced(function* (
  workspace: string,
  olderThan: Option.Option<string>,
  keepEvents: Option.Option<number>
) {
  const now = yield* Clock.currentTimeMillis
  const bounds = (age: number | undefined, keep: number | undefined): Bounds => ({
    ...(age === undefined ? {} : { before: new Date(Math.max(0, now - age)).toISOString() }),
    ...(keep === undefined ? {} : { keep_events: keep })
  })
  if (Option.isSome(olderThan) || Option.isSome(keepEvents)) {
    const age = Option.isSome(olderThan) ? yield* ageOf("older-than", olderThan.value) : undefined
    return bounds(age, Option.getOrUndefined(keepEvents))
  }
  const { retention } = yield* Effect.mapError(loadConfig(workspace, configDefaults), fromError)
  if (retention === undefined) return undefined
  const { olderThan: age } = retention
  return bounds(age === undefined ? undefined : Duration.toMillis(age), retention.keepEvents)
})

/** The hub of the workspace, or `undefined` if none runs. If one runs all the same, the workspace's lock shows it. */
const runningHub = (workspace: string) =>
  Effect.catchIf(
    connectTo(workspace),
    ({ code }) => ["HUB_NOT_RUNNING", "NOT_THE_HUB"].includes(code),
    () => Effect.undefined
  )

export const prune = Command.make(
  "prune",
  {
    olderThan: Flag.String("older-than").pipe(
      Flag.withMetavar("AGE"),
      Flag.withDescription(
        'Remove events, ended jobs, finished backfills and unused cached outputs that are older, such as 30d, 12h or "2 weeks". Default: retention of the config file'
      ),
      Flag.optional
    ),
    keepEvents: Flag.Int("keep-events").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription(
        "Keep at least the newest N events. Without --older-than, remove all other events, and nothing else"
      ),
      Flag.filter(
        (given) => given >= 0,
        (given) => `Expected 0 or more, got ${given}`
      ),
      Flag.optional
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withAlias("n"),
      Flag.withDescription("Only count what would be removed"),
      Flag.withDefault(false)
    ),
    rewrite: Flag.Boolean("vacuum").pipe(
      Flag.withDescription(
        "Then write the SQLite file anew: gives its free space back to the disk, and overwrites the bytes of what was deleted. Stop the hub first"
      ),
      Flag.withDefault(false)
    ),
    database: serviceFlags.database
  },
  Effect.fnUntraced(function* ({ olderThan, keepEvents, dryRun, rewrite, database }) {
    const workspace = yield* workspaceFolder
    const file = Workspace.pathsOf(workspace).database
    const bounds = yield* boundsOf(workspace, olderThan, keepEvents)
    if (bounds === undefined && !rewrite) {
      return yield* new CommandError({
        reason:
          "Pass --older-than, --keep-events or both, or set retention in agentlip.config.ts. Nothing was removed",
        code: "INVALID_INPUT"
      })
    }
    const hub = yield* runningHub(workspace)
    if (hub !== undefined) {
      if (rewrite) {
        return yield* new CommandError({
          reason: `--vacuum needs the database for itself. Stop the hub first: ${commandFor(workspace, "down")}`,
          code: "WORKSPACE_LOCKED"
        })
      }
      if (bounds === undefined) return
      const pruned = yield* run(throughHub(hub), bounds, dryRun)
      const free = fileUse(file)?.free ?? 0
      const hint =
        !dryRun && free > worthAHint
          ? `\nThe file has ${sizeText(free)} of free space for new data. To give it back to the disk: ${commandFor(workspace, "down")} && ${commandFor(workspace, "prune --vacuum")}`
          : ""
      return yield* show(pruned, () => resultText(pruned) + hint)
    }

    const url = Option.getOrUndefined(database)
    if (url === undefined && !fs.existsSync(file)) {
      return yield* new CommandError({ reason: `${workspace} has no database: ${file} does not exist` })
    }
    if (url !== undefined && rewrite) {
      return yield* new CommandError({
        reason: "--vacuum is for SQLite files. On PostgreSQL use VACUUM FULL",
        code: "NOT_SQLITE"
      })
    }
    const trust = yield* Trust
    yield* Effect.gen(function* () {
      const services = yield* Layer.build(WithoutHub.layer(workspace, url, { trust }))
      const pruner = inDatabase(Context.get(services, Pruning))
      const pruned = bounds === undefined ? undefined : yield* run(pruner, bounds, dryRun)
      if (pruned !== undefined && (dryRun || !rewrite)) return yield* show(pruned, () => resultText(pruned))
      if (dryRun) {
        const { bytes, free } = fileUse(file) ?? { bytes: 0, free: 0 }
        return yield* show(
          { file: { path: file, bytes, free } },
          () => `${file} has ${sizeText(bytes)}; ${sizeText(free)} of it are free. Nothing was changed.`
        )
      }
      const earlier = pruned === undefined ? [] : [resultText(pruned)]
      const { before, after, inLog } = yield* writeAnew(file, { earlier, details: { ...pruned } }).pipe(
        Effect.provideContext(services)
      )
      const isInLog = inLog !== undefined
      yield* show({ ...pruned, file: { path: file, before, after, in_log: isInLog } }, () => [
        ...earlier,
        isInLog
          ? `${file} was written anew, but its new content is still in ${file}-wal: ${inLog}. The file has ${sizeText(after)} until the last process that has it open closes it.`
          : `${file}: ${sizeText(after)}, was ${sizeText(before)}.`
      ])
    }).pipe(Effect.scoped, Effect.mapError(fromError))
  })
).pipe(
  Command.withDescription(
    "Remove old events and jobs, while the hub runs or not. Messages and findings stay. Event numbers never restart, and readers that miss events are told"
  ),
  Command.withExamples([
    { command: "agentlip prune --older-than 90d --dry-run", description: "Show what would be removed" },
    {
      command: "agentlip prune --older-than 90d --keep-events 10000",
      description: "Remove what is older, but keep the newest 10,000 events"
    },
    {
      command: "agentlip down && agentlip prune --older-than 90d --vacuum",
      description: "Make the file smaller too"
    }
  ])
)
