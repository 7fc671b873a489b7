/** Writes an event when a plugin's breaker opens or closes. */
import { type BreakerChange, CircuitBreaker } from "@agentlip/plugin-runtime"
import { Clock, Effect, Layer, Stream } from "effect"
import type { NewEvent } from "../core/Event.ts"
import { EventLog } from "../core/EventLog.ts"
import { Specs } from "./Specs.ts"

/** A probe that fails writes no event: the breaker was open before and stays open. */
const eventOf = ({ name, from, to }: BreakerChange, now: number): NewEvent | undefined => {
  const about = { scope: { channel_id: null }, entity: { type: "plugin", id: name } } as const
  if (to._tag === "Open" && from._tag === "Closed") {
    const retry_after_ms = Math.max(0, to.until - now)
    const data = { plugin_name: name, failures: to.failures, retry_after_ms }
    return { ...about, name: "plugin.circuit_opened", data }
  }
  if (to._tag === "Closed" && from._tag !== "Closed") {
    return { ...about, name: "plugin.circuit_closed", data: { plugin_name: name } }
  }
  return undefined
}

/** Writes events for configured plugins only. */
export const layer: Layer.Layer<never, never, CircuitBreaker | EventLog | Specs> = Layer.effectDiscard(
  Effect.gen(function* () {
    const breaker = yield* CircuitBreaker
    const events = yield* EventLog
    const specs = yield* Specs
    yield* breaker.changes.pipe(
      Stream.runForEach((change) =>
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          const event = eventOf(change, now)
          if (event === undefined || !specs.current().some(({ name }) => name === change.name)) return
          yield* events.append(event, new Date(now).toISOString())
        }).pipe(
          // Only the event is missing; the breaker itself works.
          Effect.catchCause((cause) => Effect.logWarning("a circuit's change is not in the events", cause))
        )
      ),
      Effect.forkScoped({ startImmediately: true })
    )
  })
)
