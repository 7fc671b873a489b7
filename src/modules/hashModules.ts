/** Hashes a plugin's modules in a thread, off the host's event loop. */
import { type Duration, Effect } from "effect"
import { Lru } from "../cache/Lru.ts"
import { LoaderThread } from "./LoaderThread.ts"

export type Hashed =
  | { readonly integrity: string; readonly files: ReadonlyArray<string> }
  | { readonly problem: string }

/**
 * The hash of an entry's module graph and the files that can change it, or the problem. Interruption ends the
 * thread.
 */
export const hashModules = (
  entry: string,
  /** After this time the result is a problem. */
  timeout: Duration.Input = "30 seconds"
): Effect.Effect<Hashed> =>
  Effect.callback<Hashed>((resume) => {
    const thread = new LoaderThread(new Lru(0, 0), {
      ready: () => {},
      gone: () => {}
    })
    thread.run({ type: "hash", entry }, (result) =>
      resume(
        Effect.succeed(
          result.type === "hashed"
            ? { integrity: result.integrity, files: result.files }
            : { problem: result.type === "problem" ? result.problem : "no answer" }
        )
      )
    )
    return Effect.promise(() => thread.end())
  }).pipe(
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => Effect.succeed({ problem: "hashing its modules took too long" })
    })
  )
