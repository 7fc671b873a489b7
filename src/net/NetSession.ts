/**
 * The host's side of a plugin's `fetch` for one run. It makes the requests under the plugin's grants and limits, and
 * ends all that are open when it is closed.
 */
import { Duration, Effect, Fiber, Semaphore } from "effect"
import type { NetGrants } from "../capabilities/net.ts"
import type { Fork } from "../Fork.ts"
import type { HostMessage } from "../wire/fetchMessages.ts"
import { type Open, runFetch } from "./runFetch.ts"
import { makeGate } from "./gate.ts"
import { PluginTime, RunTime } from "./HostTime.ts"
import { readMessage } from "./readMessage.ts"
import { FetchProblem, problem } from "./problem.ts"
import { Room } from "./relay.ts"
import { RequestBody } from "./RequestBody.ts"
import { type Resolver, systemResolver } from "./resolve.ts"

/** The most requests that may wait for their turn. */
const maxWaiting = 64

export interface NetLimits {
  /** The most bytes of one response's body, decompressed. */
  readonly fetchBytes: number
  /** The most concurrent requests. Up to 64 more wait. */
  readonly fetchConcurrency: number
  /** How long one request may take, from its turn to its last byte. Default 30 seconds. */
  readonly fetchTimeout?: Duration.Input
}

export interface NetSessionOptions {
  readonly grants: NetGrants
  readonly limits: NetLimits
  /** Set in audit mode. Called with each grant that was missing, again at each use. */
  readonly audit?: (what: string) => void
  readonly send: (json: string) => void
  /** The limits that a plugin's sessions share. Default: this session has its own. */
  readonly traffic?: Traffic
  readonly resolve?: Resolver
  readonly fork: Fork
}

/** The limits for the requests of one plugin, shared by all of its runs. */
export interface Traffic {
  /** Permits for concurrent connections and look-ups. */
  readonly turns: Semaphore.Semaphore
  readonly time: PluginTime
}

export const makeTraffic = (fetchConcurrency: number): Traffic => ({
  turns: Semaphore.makeUnsafe(fetchConcurrency),
  time: new PluginTime()
})

export interface NetSession {
  /** Handles a message of the guest's `fetch`. Returns how the message broke the protocol, if it did. */
  readonly receive: (json: string) => string | undefined
  /** Ends every request, and returns when their connections are closed. */
  readonly close: Effect.Effect<void>
}

interface Live {
  readonly body: RequestBody | undefined
  readonly room: Room
  readonly fiber: Fiber.Fiber<unknown>
}

export const openNetSession = (options: NetSessionOptions): NetSession => {
  const { limits } = options
  const { turns, time: pluginTime } = options.traffic ?? makeTraffic(limits.fetchConcurrency)
  const timeout = Duration.fromInputUnsafe(limits.fetchTimeout ?? "30 seconds")
  /** Fibers of requests; one that was cancelled may still close its connection. */
  const fibers = new Set<Fiber.Fiber<unknown>>()
  const live = new Map<number, Live>()
  let lastId = 0
  let closed = false

  const send = (message: HostMessage): void => options.send(JSON.stringify(message))
  const fail = (id: number, { errorName, message, grant }: FetchProblem): void =>
    send({ op: "error", id, name: errorName, message, ...(grant === undefined ? {} : { grant }) })

  const gate = makeGate(options.grants, options.resolve ?? systemResolver, options.audit)

  const time = new RunTime(pluginTime, () => {
    const { spent } = time
    if (closed || spent === undefined) return
    for (const [id, { fiber }] of live) {
      fail(id, spent)
      fiber.interruptUnsafe()
    }
    live.clear()
  })

  const start = (open: Open): void => {
    const { id } = open
    const { spent } = time
    if (spent !== undefined) return fail(id, spent)
    if (live.size >= limits.fetchConcurrency + maxWaiting) {
      return fail(
        id,
        problem(`more than ${maxWaiting} requests wait for their turn; await some of them first`)
      )
    }
    const body = open.hasBody ? new RequestBody(() => send({ op: "more", id }), open.length) : undefined
    const room = new Room()
    const fetch = runFetch({ open, body, room, time, gate, send, maxBytes: limits.fetchBytes }).pipe(
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () =>
          Effect.fail(
            new FetchProblem({
              errorName: "TimeoutError",
              message: `the request took longer than ${Duration.format(timeout)}`
            })
          )
      }),
      turns.withPermits(1),
      // A bug in the broker must not leave the plugin waiting.
      Effect.catchDefect((defect) => Effect.fail(problem(`the request failed (${String(defect)})`))),
      Effect.catch((failure) => Effect.sync(() => fail(id, failure))),
      Effect.ensuring(Effect.sync(() => live.delete(id)))
    )
    // `yieldNow` makes it start only after `live` has its entry.
    const fiber = options.fork(Effect.andThen(Effect.yieldNow, fetch))
    fibers.add(fiber)
    fiber.addObserver(() => fibers.delete(fiber))
    live.set(id, { body, room, fiber })
  }

  const take = (json: string): string | undefined => {
    const message = readMessage(json)
    if (message === undefined) return "a fetch message of another shape"
    const { op, id } = message
    if (op === "open") {
      if (id <= lastId) return "a fetch that had been opened before"
      lastId = id
      start(message)
      return undefined
    }
    if (id > lastId) return "a message for a fetch that was never opened"
    const of = live.get(id)
    // The request has ended meanwhile, and the guest does not know yet.
    if (of === undefined) return undefined
    if (op === "pull") of.room.give()
    else if (op === "cancel") {
      live.delete(id)
      of.fiber.interruptUnsafe()
    } else {
      const chunk = op === "body" ? Buffer.from(message.data, "base64") : undefined
      if (of.body?.arrive(chunk) !== true) return "a request body that nobody had asked for"
    }
    return undefined
  }

  return {
    receive: (json) => {
      if (closed) return undefined
      if (time.overdrawn) return "fetch messages although the run's requests had taken all their time"
      return time.measure(() => take(json))
    },
    close: Effect.suspend(() => {
      closed = true
      return Fiber.interruptAll(fibers)
    })
  }
}
