/**
 * Ends isolates that use more memory than their spec allows. A thread's own heap limit is no use for that: a
 * thread that runs into it can abort the whole process (docs/security.md).
 */
import { Effect, Latch, type Scope } from "effect"
import type { Isolate } from "./Isolate.ts"

/** How often a busy isolate is looked at, in milliseconds. */
const interval = 25

const mebibyte = 1024 * 1024

export interface MemoryWatch {
  /** Watches until the scope closes; `limit` in MiB. */
  readonly watch: (isolate: Isolate, limit: number) => Effect.Effect<void, never, Scope.Scope>
}

interface Watched {
  readonly isolate: Isolate
  readonly limit: number
  /** A thread deep in a built-in answers late; one question at a time is enough. */
  asked: boolean
}

const look = (watched: Watched): void => {
  if (watched.asked) return
  watched.asked = true
  watched.isolate.memory().then(
    (bytes) => {
      watched.asked = false
      if (bytes > watched.limit * mebibyte) {
        watched.isolate.condemn(
          `it used ${Math.round(bytes / mebibyte)} MiB of memory, its limit is ${watched.limit} MiB (limits.memory)`
        )
      }
    },
    () => {
      // The thread has ended meanwhile; its memory is no longer a question.
    }
  )
}

/** Starts the watch; one fiber for all isolates, asleep while none is busy. */
export const makeMemoryWatch: Effect.Effect<MemoryWatch, never, Scope.Scope> = Effect.gen(function* () {
  const busy = new Set<Watched>()
  const anyBusy = yield* Latch.make(false)

  yield* anyBusy.await.pipe(
    Effect.andThen(Effect.sleep(interval)),
    Effect.andThen(
      Effect.sync(() => {
        for (const watched of busy) look(watched)
      })
    ),
    Effect.forever,
    Effect.forkScoped
  )

  return {
    watch: (isolate, limit) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const watched: Watched = { isolate, limit, asked: false }
          busy.add(watched)
          anyBusy.openUnsafe()
          return watched
        }),
        (watched) =>
          Effect.sync(() => {
            busy.delete(watched)
            if (busy.size === 0) anyBusy.closeUnsafe()
          })
      )
  }
})
