/** `--watch`: runs a plugin again when its files change. */
import { watchModule } from "@agentlip/plugin-runtime"
import { Console, Effect, Result } from "effect"
import { CommandError } from "../CommandError.ts"
import { Json } from "../flags/Globals.ts"
import { pathFromHere } from "./problemHere.ts"
import { errorText } from "../render/Errors.ts"
import { isServing } from "../Stop.ts"

/** A command that can run again. */
export interface Repeatable<Prepared, E, R> {
  /** Reads the flags and the files that they name. */
  readonly prepare: Effect.Effect<Prepared, CommandError, R>
  readonly modulePath: (prepared: Prepared) => string
  /** The files that the flags name. */
  readonly files: (prepared: Prepared) => ReadonlyArray<string>
  readonly run: (prepared: Prepared) => Effect.Effect<void, CommandError | E, R>
}

/**
 * Runs the command now and after every change of its files, until it is interrupted. Prints errors of a run and goes
 * on. Fails only if the flags are invalid at the start, because no change of a file would help.
 */
export const runOnChanges = <Prepared, E, R>({
  prepare,
  modulePath,
  files,
  run
}: Repeatable<Prepared, E, R>) =>
  Effect.gen(function* () {
    const json = yield* Json
    const note = (text: string) => (json ? Effect.void : Console.error(`agentlip: ${text}`))
    const tell = (error: CommandError) => Console.error(errorText(json)(error))
    let last = yield* prepare
    while (true) {
      // Start watching before the files are read, so that no later change is missed.
      const watched = yield* watchModule(modulePath(last), { also: files(last) })
      const prepared = yield* Effect.result(prepare)
      if (Result.isFailure(prepared)) yield* tell(prepared.failure)
      else {
        const isMoved = modulePath(prepared.success) !== modulePath(last)
        last = prepared.success
        if (isMoved) continue
        yield* Effect.catchIf(run(last), (error) => error instanceof CommandError, tell)
      }
      yield* note("waiting for a change; Ctrl-C ends it")
      const changed = yield* watched.changed
      yield* note(`${changed.map(pathFromHere).join(", ")} changed; running again`)
    }
  }).pipe(isServing)
