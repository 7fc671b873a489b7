/**
 * Ends isolates that use more memory or processor time than their spec allows. A thread's own heap limit is no
 * use for that: a thread that runs into it can abort the whole process (docs/security.md).
 */
import { Effect, Latch, type Scope } from "effect"
import type { Limits } from "../Plugin.ts"
import type { Isolate } from "./Isolate.ts"

/** How often a busy isolate is looked at, in milliseconds. */
const interval = 25

const mebibyte = 1024 * 1024

export interface UsageWatch {
  /** Watches until `end`; `used` is told what has been used since it was last told, and how much memory is held. */
  readonly begin: (
    isolate: Isolate,
    limits: Limits,
    used: (cpuMillis: number, memoryBytes: number) => void
  ) => void
  readonly end: (isolate: Isolate) => void
}

interface Watched {
  readonly isolate: Isolate
  readonly limits: Limits
  readonly used: (cpuMillis: number, memoryBytes: number) => void
  /** Processor time that the isolate had used before; known once the first answer has come. */
  cpuBefore: number | undefined
  /** A thread deep in a built-in answers late; one question at a time is enough. */
  asked: boolean
}

/** Processor time of an isolate that has been told of. */
const told = new WeakMap<Isolate, number>()

const look = (watched: Watched): void => {
  if (watched.asked) return
  watched.asked = true
  const { isolate, limits, used: tell } = watched
  isolate.usage().then(
    ({ memory, cpu }) => {
      watched.asked = false
      tell(cpu === undefined ? 0 : cpu - (told.get(isolate) ?? 0), memory)
      if (cpu !== undefined) told.set(isolate, cpu)
      if (memory > limits.memory * mebibyte) {
        isolate.condemn(
          `it used ${Math.round(memory / mebibyte)} MiB of memory, its limit is ${limits.memory} MiB (limits.memory)`
        )
      }
      if (cpu === undefined || limits.cpu === undefined) return
      watched.cpuBefore ??= cpu
      const used = Math.round(cpu - watched.cpuBefore)
      if (used > limits.cpu) {
        isolate.condemn(
          `it used ${used} ms of processor time, its limit is ${limits.cpu} ms a run (limits.cpu)`
        )
      }
    },
    () => {
      // The isolate has ended meanwhile; what it used is no longer a question.
    }
  )
}

/** Starts the watch; one fiber for all isolates, asleep while none is busy. */
export const makeUsageWatch: Effect.Effect<UsageWatch, never, Scope.Scope> = Effect.gen(function* () {
  const busy = new Map<Isolate, Watched>()
  const anyBusy = yield* Latch.make(false)

  yield* anyBusy.await.pipe(
    Effect.andThen(Effect.sleep(interval)),
    Effect.andThen(
      Effect.sync(() => {
        for (const watched of busy.values()) look(watched)
      })
    ),
    Effect.forever,
    Effect.forkScoped
  )

  return {
    begin: (isolate, limits, used) => {
      const watched: Watched = { isolate, limits, used, cpuBefore: undefined, asked: false }
      busy.set(isolate, watched)
      if (busy.size === 1) anyBusy.openUnsafe()
      // Where the run starts from; only asked for where somebody wants to know.
      if (limits.cpu !== undefined) look(watched)
    },
    end: (isolate) => {
      if (busy.delete(isolate) && busy.size === 0) anyBusy.closeUnsafe()
    }
  }
})
