/** Loopback servers, and a session of the net broker that is talked to message by message. */
import { Effect, FiberSet, type Scope } from "effect"
import type * as http from "node:http"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo, Server, Socket } from "node:net"
import { parseNetGrants } from "../../src/capabilities/net.ts"
import type { GuestMessage, HostMessage } from "../../src/wire/fetchMessages.ts"
import { type NetSessionOptions, openNetSession } from "../../src/net/NetSession.ts"

export interface TestServer {
  readonly port: number
  readonly origin: string
  /** Connections that were ever made. */
  readonly connections: () => number
  /** Connections that are there now. */
  readonly open: () => number
  /** Waits until the last connection is gone. */
  readonly deserted: Effect.Effect<void>
}

const watch = (server: Server, host: string, port: number, scheme: string) =>
  Effect.acquireRelease(
    Effect.callback<TestServer>((resume) => {
      const sockets = new Set<Socket>()
      let connections = 0
      let tell = (): void => {}
      server.on("connection", (socket) => {
        connections++
        sockets.add(socket)
        socket.on("close", () => {
          sockets.delete(socket)
          if (sockets.size === 0) tell()
        })
        // Clients that leave in the middle are what these tests are about.
        socket.on("error", () => {})
      })
      server.listen(port, host, () => {
        const { port } = server.address() as AddressInfo
        const deserted = Effect.callback<void>((resume) => {
          tell = () => resume(Effect.void)
          if (sockets.size === 0) tell()
        })
        const origin = `${scheme}://${host}:${port}`
        resume(
          Effect.succeed({ port, origin, connections: () => connections, open: () => sockets.size, deserted })
        )
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        if ("closeAllConnections" in server && typeof server.closeAllConnections === "function") {
          server.closeAllConnections()
        }
      })
  )

/** An HTTP server on a loopback address, for as long as the scope. */
export const serve = (
  handler: http.RequestListener,
  options: { readonly host?: string; readonly port?: number } = {}
): Effect.Effect<TestServer, never, Scope.Scope> =>
  Effect.suspend(() => watch(createServer(handler), options.host ?? "127.0.0.1", options.port ?? 0, "http"))

export const serveSecure = (
  handler: http.RequestListener,
  identity: { readonly key: string; readonly cert: string }
): Effect.Effect<TestServer, never, Scope.Scope> =>
  Effect.suspend(() => watch(createSecureServer(identity, handler), "127.0.0.1", 0, "https"))

/** A server that answers with raw bytes. */
export const serveRaw = (server: Server): Effect.Effect<TestServer, never, Scope.Scope> =>
  watch(server, "127.0.0.1", 0, "http")

export interface Outcome {
  readonly head: Extract<HostMessage, { readonly op: "head" }> | undefined
  readonly body: Buffer
  readonly error: string | undefined
}

export interface OpenOptions {
  readonly method?: string
  readonly headers?: ReadonlyArray<readonly [string, string]>
  readonly redirect?: "follow" | "error" | "manual"
  /** Sent chunk by chunk, as the host asks. */
  readonly body?: ReadonlyArray<string>
  readonly length?: number
}

/** A session that is closed with the scope. */
export const netSession = (options: Omit<NetSessionOptions, "fork">) =>
  Effect.gen(function* () {
    const fork = yield* FiberSet.makeRuntime<never>()
    return yield* Effect.acquireRelease(
      Effect.sync(() => openNetSession({ ...options, fork })),
      ({ close }) => close
    )
  })

type Options = Omit<Partial<NetSessionOptions>, "grants" | "send" | "limits" | "fork"> & {
  readonly grants: ReadonlyArray<string>
  readonly limits?: Partial<NetSessionOptions["limits"]>
}

/** A session, and a guest that does what it is told. */
export const startSession = (options: Options) =>
  Effect.gen(function* () {
    const grants = yield* Effect.orDie(Effect.fromResult(parseNetGrants(options.grants)))
    const heard: Array<HostMessage> = []
    const listeners = new Set<() => void>()
    const session = yield* netSession({
      ...options,
      grants,
      limits: { fetchBytes: 5 * 1024 * 1024, fetchConcurrency: 4, ...options.limits },
      send: (json) => {
        heard.push(JSON.parse(json))
        for (const listener of listeners) listener()
      }
    })
    let lastId = 0
    const say = (message: GuestMessage): string | undefined => session.receive(JSON.stringify(message))

    /** Waits for the first message of that kind for a request. */
    const wait = <Op extends HostMessage["op"]>(id: number, ...ops: ReadonlyArray<Op>) =>
      Effect.callback<Extract<HostMessage, { readonly op: Op }>>((resume) => {
        const look = (): void => {
          const found = heard.find((message) => message.id === id && ops.some((op) => op === message.op))
          if (found === undefined) return
          listeners.delete(look)
          resume(Effect.succeed(found as Extract<HostMessage, { readonly op: Op }>))
        }
        listeners.add(look)
        look()
      })

    const open = (url: string, { body, ...rest }: OpenOptions = {}): number => {
      const id = ++lastId
      const violation = say({
        op: "open",
        id,
        url,
        method: "GET",
        headers: [],
        hasBody: body !== undefined,
        redirect: "follow",
        ...rest
      })
      if (violation !== undefined) throw new Error(violation)
      return id
    }

    /** Plays a whole request. */
    const get = (url: string, options: OpenOptions = {}): Effect.Effect<Outcome> =>
      Effect.callback<Outcome>((resume) => {
        const id = open(url, options)
        const body = [...(options.body ?? [])]
        let seen = 0
        const look = (): void => {
          for (; seen < heard.length; seen++) {
            const message = heard[seen]
            if (message?.id !== id) continue
            if (message.op === "chunk") say({ op: "pull", id })
            if (message.op === "more") {
              const data = body.shift()
              if (data === undefined) say({ op: "bodyEnd", id })
              else say({ op: "body", id, data: Buffer.from(data).toString("base64") })
            }
            if (message.op === "end" || message.op === "error") {
              listeners.delete(look)
              resume(Effect.sync(() => outcome(id)))
            }
          }
        }
        listeners.add(look)
        look()
      })

    const outcome = (id: number): Outcome => {
      const own = heard.filter((message) => message.id === id)
      const error = own.find((message) => message.op === "error")
      return {
        head: own.find((message) => message.op === "head"),
        body: Buffer.concat(
          own.flatMap((message) => (message.op === "chunk" ? [Buffer.from(message.data, "base64")] : []))
        ),
        error: error === undefined ? undefined : `${error.name}: ${error.message}`
      }
    }

    return { session, heard, say, wait, open, get, outcome }
  })
