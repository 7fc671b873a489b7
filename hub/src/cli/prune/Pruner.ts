/** Carries a prune out, in a hub that runs or in the database of one that does not, and shows how far it is. */
import type { Prune, PruneCounts } from "@agentlip/protocol"
import { Console, Effect } from "effect"
import type { Pruning } from "../../retention/Pruning.ts"
import { CommandError } from "../CommandError.ts"
import type { HubClient } from "../hub/HubClient.ts"
import { counted } from "../render/counted.ts"
import { makeProgress } from "../render/Progress.ts"

const lookEvery = "100 millis"

/** Which events and jobs to remove. */
export interface Bounds {
  readonly before?: string
  readonly keep_events?: number
}

/** A hub that prunes, or the database of one that does not run. */
export interface Pruner {
  readonly begin: (
    bounds: Bounds,
    dry_run: boolean
  ) => Effect.Effect<{ readonly prune: Prune; readonly started: boolean }, CommandError>
  readonly current: Effect.Effect<Prune | null, CommandError>
  readonly stop: Effect.Effect<unknown, CommandError>
}

export const throughHub = ({ ask }: HubClient): Pruner => ({
  begin: (bounds, dry_run) => ask((api) => api.operations.beginPrune({ payload: { ...bounds, dry_run } })),
  current: Effect.map(
    ask((api) => api.operationReads.prune()),
    ({ prune }) => prune
  ),
  stop: ask((api) => api.operations.stopPrune())
})

export const inDatabase = (pruning: Pruning["Service"]): Pruner => ({
  begin: ({ before, keep_events }, dryRun) =>
    pruning.begin(
      { before: before === undefined ? undefined : Date.parse(before), keepEvents: keep_events },
      { dryRun }
    ),
  current: Effect.map(pruning.current, (prune) => prune ?? null),
  stop: pruning.stop
})

const sum = (counts: PruneCounts): number => Object.values(counts).reduce((all, count) => all + count, 0)

/** Waits for the end of a prune, and shows its progress. */
const follow = Effect.fnUntraced(function* (pruner: Pruner, begun: Prune) {
  const progress = makeProgress()
  let prune = begun
  yield* Effect.gen(function* () {
    while (prune.ended_at === null) {
      const { total, removed, state } = prune
      if (state === "removing" && sum(total) > 0) {
        const percent = Math.min(100, Math.floor((100 * sum(removed)) / sum(total)))
        progress.at(percent, `${counted(removed.events, "event")}, ${counted(removed.jobs, "job")}`)
      }
      yield* Effect.sleep(lookEvery)
      prune = (yield* pruner.current) ?? prune
    }
    if (sum(prune.removed) > 0) progress.end()
  })
  return prune
})

/** Begins a prune. If another one runs, waits for it first. */
const begin = (pruner: Pruner, bounds: Bounds, dryRun: boolean): Effect.Effect<Prune, CommandError> =>
  Effect.flatMap(pruner.begin(bounds, dryRun), ({ prune, started }) =>
    started
      ? Effect.succeed(prune)
      : Console.error("Another prune is running; waiting for it.").pipe(
          Effect.andThen(follow(pruner, prune)),
          Effect.andThen(begin(pruner, bounds, dryRun))
        )
  )

/** Prunes with these bounds and returns the result; a first interruption stops it. */
export const run = Effect.fnUntraced(function* (pruner: Pruner, bounds: Bounds, dryRun: boolean) {
  const prune = yield* begin(pruner, bounds, dryRun).pipe(
    Effect.flatMap((begun) => follow(pruner, begun)),
    Effect.onInterrupt(() =>
      Effect.andThen(
        Effect.ignore(pruner.stop),
        Console.error("Stopped. What was removed is gone; the same command removes the rest.")
      )
    )
  )
  if (prune.state === "failed") {
    return yield* new CommandError({ reason: `The prune failed: ${prune.error ?? "unknown"}` })
  }
  return prune
})
