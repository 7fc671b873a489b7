/** One load or one run with an isolate: the request, its reply, and what either means as a `PluginError`. */
import { type Context, Effect, Schema } from "effect"
import { pathToFileURL } from "node:url"
import { realpathSync } from "node:fs"
import {
  ExecutionError,
  InvalidOutput,
  LoadError,
  type PluginError,
  ThrownValue,
  WorkerCrash
} from "../Errors.ts"
import { type LoadRequest, type PluginInfo, Reply, Request } from "../guest/protocol.ts"
import type { PluginSpec } from "../Plugin.ts"
import type { GuestReply, Isolate, LogSink } from "./Isolate.ts"
import type { ModuleLoader } from "./ModuleLoader.ts"
import { printable } from "./text.ts"
import type { Death } from "./Transport.ts"

export const crashed = (spec: PluginSpec, { reason, exitCode }: Death): WorkerCrash =>
  new WorkerCrash({
    plugin: spec.name,
    reason: printable(reason),
    ...(exitCode === undefined ? {} : { exitCode })
  })

const brokenReply = (spec: PluginSpec): WorkerCrash =>
  crashed(spec, { reason: "it broke the protocol: a reply of another shape" })

const Info = Schema.fromJsonString(Schema.Struct({ name: Schema.String, version: Schema.String }))
const Text = Schema.fromJsonString(Schema.String)
const Thrown = Schema.fromJsonString(ThrownValue)
const decodeInfo = Schema.decodeEffect(Info)
const decodeText = Schema.decodeEffect(Text)
const decodeThrown = Schema.decodeEffect(Thrown)

/** Makes a plugin's log lines Effect logs of the fiber that runs it, with that fiber's annotations. */
const withLog = <A, E, R>(use: (log: LogSink) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.contextWith((context: Context.Context<R>) => {
    const runSync = Effect.runSyncWith(context)
    return use((level, text) => runSync(Effect.logWithLevel(level)(printable(text))))
  })

/** What one load gives: who the plugin says it is, and whether its files have changed since. */
export interface Loaded {
  readonly info: PluginInfo
  readonly changed: Effect.Effect<boolean>
}

/** Makes a booted isolate the isolate of the spec's plugin. */
export const loadPlugin = (
  isolate: Isolate,
  spec: PluginSpec,
  entry: string,
  loader: ModuleLoader["Service"] | undefined
): Effect.Effect<Loaded, PluginError> =>
  Effect.gen(function* () {
    const refused = (reason: string): LoadError =>
      new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason: printable(reason) })
    const modules = loader === undefined ? undefined : yield* Effect.mapError(loader.open(entry), refused)
    const url = yield* Effect.try({
      try: () => pathToFileURL(realpathSync(entry)).href,
      catch: () => refused("there is no such file; correct the modulePath")
    })
    const request = (nonce: string): LoadRequest => ({
      nonce,
      entry: url,
      method: spec.kind.method,
      name: spec.name,
      config: JSON.stringify(spec.config),
      limits: {
        outputLength: spec.limits.outputLength,
        logLines: spec.limits.logLines,
        logLength: spec.limits.logLength
      },
      ...(modules === undefined ? {} : { modules: modules.channel })
    })
    const reply = yield* withLog((log) =>
      isolate.request((transport, nonce) => transport.load(request(nonce)), spec.limits, log)
    ).pipe(Effect.mapError((death) => crashed(spec, death)))
    if (reply.type === Reply.loadFailed) {
      const reason = yield* Effect.mapError(decodeText(reply.body), () => brokenReply(spec))
      return yield* refused(reason)
    }
    if (reply.type !== Reply.loaded) return yield* brokenReply(spec)
    const info = yield* Effect.mapError(decodeInfo(reply.body), () => brokenReply(spec))
    return { info, changed: modules?.changed ?? Effect.succeed(false) }
  })

/** Runs a loaded plugin on an input's JSON; answers its output's JSON. */
export const runPlugin = (
  isolate: Isolate,
  spec: PluginSpec,
  input: string,
  /** Told that the isolate must not serve another run. */
  spend: () => void
): Effect.Effect<string, PluginError> =>
  withLog((log) =>
    isolate.request((transport, nonce) => transport.send(Request.run + nonce + input), spec.limits, log)
  ).pipe(
    Effect.mapError((death) => crashed(spec, death)),
    Effect.flatMap((reply) => {
      if (reply.leftover || reply.type === Reply.uncrossable) spend()
      return meaning(spec, reply, spend)
    })
  )

const meaning = (
  spec: PluginSpec,
  reply: GuestReply,
  spend: () => void
): Effect.Effect<string, PluginError> => {
  switch (reply.type) {
    case Reply.output:
      return Effect.succeed(reply.body)
    case Reply.thrown:
      return Effect.matchEffect(decodeThrown(reply.body), {
        onFailure: () => Effect.fail(brokenReply(spec)),
        onSuccess: ({ name, message, stack }) =>
          Effect.fail(
            new ExecutionError({
              plugin: spec.name,
              cause: {
                name: printable(name),
                message: printable(message),
                ...(stack === undefined ? {} : { stack: printable(stack) })
              }
            })
          )
      })
    case Reply.uncrossable:
      return Effect.matchEffect(decodeText(reply.body), {
        onFailure: () => Effect.fail(brokenReply(spec)),
        onSuccess: (issue) => Effect.fail(new InvalidOutput({ plugin: spec.name, issue: printable(issue) }))
      })
    default:
      spend()
      return Effect.fail(brokenReply(spec))
  }
}
