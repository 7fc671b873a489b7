/**
 * Ends isolates that use more memory or processor time than their spec allows. A thread's own heap limit cannot do
 * this: a thread that reaches it can abort the whole process (docs/security.md).
 */
import { Effect, Latch, type Scope } from "effect"
import type { Limits } from "../../Plugin.ts"
import { HostMemory, type Member } from "./HostMemory.ts"
import type { Isolate } from "../isolate/Isolate.ts"

/** Milliseconds between two checks of a busy isolate. */
const interval = 25

const mebibyte = 1024 * 1024

export interface UsageWatch {
  /** Watches until `end`. `used` gets the processor time since its last call, and the memory that is held now. */
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
  /** Processor time that the isolate had used before; known after the first answer. */
  cpuBefore: number | undefined
  /** Milliseconds that it has used since. */
  cpu: number
  /** Whether it is in the host's own process. */
  shared: boolean
  /** Whether an answer is pending. A thread inside a long built-in answers late. */
  asked: boolean
}

/** The processor time of each isolate that `used` has got. */
const told = new WeakMap<Isolate, number>()

const look = (watched: Watched, host: HostMemory<Isolate>): void => {
  if (watched.asked) return
  watched.asked = true
  const { isolate, limits, used: tell } = watched
  isolate.usage().then(
    ({ memory, cpu, accounted, hasMore }) => {
      watched.asked = false
      if (accounted !== undefined) {
        watched.shared = true
        host.account(isolate, accounted + (hasMore === true ? limits.memory * mebibyte : 0))
      }
      tell(cpu === undefined ? 0 : cpu - (told.get(isolate) ?? 0), memory)
      if (cpu !== undefined) told.set(isolate, cpu)
      if (memory > limits.memory * mebibyte) {
        isolate.condemn(
          `it used ${Math.round(memory / mebibyte)} MiB of memory, its limit is ${limits.memory} MiB (limits.memory)`
        )
      }
      if (cpu === undefined) return
      watched.cpuBefore ??= cpu
      watched.cpu = cpu - watched.cpuBefore
      if (limits.cpu === undefined) return
      const used = Math.round(watched.cpu)
      if (used > limits.cpu) {
        isolate.condemn(
          `it used ${used} ms of processor time, its limit is ${limits.cpu} ms a run (limits.cpu)`
        )
      }
    },
    () => {
      // The isolate has ended meanwhile.
    }
  )
}

const isGone = (isolate: Isolate): boolean => isolate.gone

/** Ends the isolate that made the host's memory grow, if it is clear which one did. */
const lookAtHost = (busy: ReadonlyMap<Isolate, Watched>, host: HostMemory<Isolate>): void => {
  const sharing = new Map<Isolate, Member>()
  for (const [isolate, { shared, limits, cpu }] of busy) {
    if (shared) sharing.set(isolate, { limit: limits.memory, cpu })
  }
  if (sharing.size === 0) return
  const { rss, heapTotal, external } = process.memoryUsage()
  const blame = host.look({ resident: rss, own: heapTotal + external }, sharing, isGone)
  if (blame === undefined) return
  const limit = sharing.get(blame.isolate)?.limit
  blame.isolate.condemn(
    `while it ran, the host's memory grew by ${blame.unseen} MiB that no engine accounts for, its limit is ${limit} MiB (limits.memory); native objects take such memory (Intl, TextDecoder, SharedArrayBuffer, WebAssembly)`
  )
}

/** Starts the watch; one fiber for all isolates, asleep while none is busy. */
export const makeUsageWatch: Effect.Effect<UsageWatch, never, Scope.Scope> = Effect.gen(function* () {
  const busy = new Map<Isolate, Watched>()
  const host = new HostMemory<Isolate>()
  const anyBusy = yield* Latch.make(false)

  yield* anyBusy.await.pipe(
    Effect.andThen(Effect.sleep(interval)),
    Effect.andThen(
      Effect.sync(() => {
        for (const watched of busy.values()) look(watched, host)
        lookAtHost(busy, host)
      })
    ),
    Effect.forever,
    Effect.forkScoped
  )

  return {
    begin: (isolate, limits, used) => {
      const watched: Watched = {
        isolate,
        limits,
        used,
        cpuBefore: undefined,
        cpu: 0,
        shared: false,
        asked: false
      }
      busy.set(isolate, watched)
      if (busy.size === 1) anyBusy.openUnsafe()
      // The processor time at the start is only needed for this limit.
      if (limits.cpu !== undefined) look(watched, host)
    },
    end: (isolate) => {
      if (busy.delete(isolate) && busy.size === 0) anyBusy.closeUnsafe()
    }
  }
})
