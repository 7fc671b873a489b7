/** Writes the SQLite file of a workspace anew. If Ctrl-C comes meanwhile, says what was done and what was not. */
import { Cause, Console, Effect, Exit, Fiber } from "effect"
import type { DatabaseUnusable } from "../../database/DatabaseFile.ts"
import { makeReady, rewrite } from "../../database/Vacuum.ts"
import { fromError } from "../CommandError.ts"

/** The size of a file in bytes, before and after. */
export interface Sizes {
  readonly before: number
  readonly after: number
}

const reasonOf = ({ cause }: Exit.Failure<void, DatabaseUnusable>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? fromError(error).message : String(error)
}

/** `earlier`: what the command has done already, as sentences. `report` shows the result. */
export const writeAnew = Effect.fnUntraced(function* <R>(
  file: string,
  earlier: ReadonlyArray<string>,
  report: (sizes: Sizes) => Effect.Effect<void, never, R>
) {
  const stopped = (why: string) =>
    Console.error(["Stopped.", ...earlier, `${file} was not written anew${why}`].join(" "))
  const waiting = Console.error(`Waiting for others that read ${file}.`)
  const before = yield* Effect.raceFirst(
    makeReady(file),
    Effect.andThen(Effect.delay(waiting, "500 millis"), Effect.never)
  ).pipe(Effect.onInterrupt(() => stopped(".")))
  yield* Console.error(
    `Writing ${file} anew. This may take some seconds per GiB, and Ctrl-C does not stop it.`
  )
  const writing = yield* rewrite(file).pipe(
    Effect.flatMap((after) => report({ before, after })),
    Effect.uninterruptible,
    Effect.forkChild({ startImmediately: true })
  )
  yield* Effect.onInterrupt(Fiber.join(writing), () =>
    Console.error("Ctrl-C came too late: the file is written to its end.").pipe(
      Effect.andThen(Fiber.await(writing)),
      // A success has shown its result.
      Effect.flatMap((end) => (Exit.isFailure(end) ? stopped(`: ${reasonOf(end)}`) : Effect.void))
    )
  )
})
