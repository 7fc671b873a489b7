/** Writes the SQLite file of a workspace anew, and says what can be stopped and what not. */
import { Console, Effect } from "effect"
import { makeReady, rewrite } from "../../database/Vacuum.ts"
import { CommandError } from "../CommandError.ts"
import * as Stop from "../Stop.ts"

/** What the command has done already. Ctrl-C and errors must not hide it. */
export interface Earlier {
  /** As sentences. */
  readonly earlier: ReadonlyArray<string>
  /** For programs. Empty if it has done nothing. */
  readonly details: NonNullable<CommandError["details"]>
}

/**
 * Returns the size of the file in bytes, before and after, and why the new content is still in the log: see Vacuum.ts.
 * Ctrl-C stops it while it waits for others that use the file, and no longer once it writes.
 */
export const writeAnew = Effect.fnUntraced(
  function* (file: string, { earlier }: Earlier) {
    const waiting = Console.error(`Waiting for others that use ${file}.`)
    const before = yield* Effect.raceFirst(
      makeReady(file),
      Effect.andThen(Effect.delay(waiting, "500 millis"), Effect.never)
    ).pipe(
      Effect.onInterrupt(() =>
        Console.error(["Stopped.", ...earlier, `${file} was not written anew.`].join(" "))
      )
    )
    yield* Stop.ignoreSignals
    yield* Console.error(
      `Writing ${file} anew. This may take some seconds per GiB, and Ctrl-C does not stop it.`
    )
    const { bytes, inLog } = yield* rewrite(file)
    return { before, after: bytes, inLog }
  },
  (written, _, { earlier, details }) =>
    Effect.mapError(
      written,
      ({ message }) =>
        new CommandError({
          reason: [...earlier, message].join(" "),
          code: "VACUUM_FAILED",
          ...(Object.keys(details).length === 0 ? {} : { details })
        })
    )
)
