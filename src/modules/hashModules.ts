/** Hashes a plugin's modules in a thread, off the host's event loop. */
import { type Duration, Effect } from "effect"
import { type PrepareError, unprepared } from "../PrepareError.ts"
import { Lru } from "../cache/Lru.ts"
import { LoaderThread, threadUnavailable } from "./LoaderThread.ts"

export interface Hashed {
  readonly integrity: string
  /** All files that can change the hash. */
  readonly files: ReadonlyArray<string>
}

const startThread = Effect.try({
  try: () => new LoaderThread(new Lru({ maxEntries: 0 }), { ready: () => {}, gone: () => {} }),
  // The system has no more threads.
  catch: () => unprepared(threadUnavailable)
})

/** Hashes an entry's module graph, in a thread that ends with it. */
export const hashModules = (
  entry: string,
  /** After this time it fails. */
  timeout: Duration.Input = "30 seconds"
): Effect.Effect<Hashed, PrepareError> =>
  Effect.acquireUseRelease(
    startThread,
    (thread) =>
      Effect.callback<Hashed, PrepareError>((resume) =>
        thread.run({ type: "hash", entry }, (result) => {
          if (result.type === "hashed")
            resume(Effect.succeed({ integrity: result.integrity, files: result.files }))
          else
            resume(
              Effect.fail(
                unprepared(result.type === "problem" ? result.problem : "its modules could not be hashed")
              )
            )
        })
      ),
    (thread) => Effect.promise(() => thread.end())
  ).pipe(
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => Effect.fail(unprepared("hashing its modules took too long"))
    })
  )
