/** One load or one run with an isolate: the request, its reply, and what either means as a `PluginError`. */
import { type Context, Duration, Effect, Schema } from "effect"
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
import type { ResolvedGrants } from "../Capabilities.ts"
import { capabilitiesProblem, decodeCapabilities } from "../capabilities/declared.ts"
import { type AuditLine, type LoadRequest, type PluginInfo, Reply, Request } from "../guest/protocol.ts"
import type { PluginSpec } from "../Plugin.ts"
import { printable, printableLine, shortened } from "../text.ts"
import type { Conversation, GuestReply, Isolate } from "./Isolate.ts"
import type { ModuleLoader } from "./ModuleLoader.ts"
import { lazySession } from "./network.ts"
import type { Death } from "./Transport.ts"

/** Characters of a reason that a plugin may have made up. */
const maxReason = 8_192
const reasonText = (reason: string): string => printable(shortened(reason, maxReason))
const lineText = (text: string): string => printableLine(shortened(text, 1_000))
/** What a plugin calls itself. */
const nameText = (text: string): string => printableLine(shortened(text, 200))

export const crashed = (spec: PluginSpec, { reason, exitCode }: Death): WorkerCrash =>
  new WorkerCrash({
    plugin: spec.name,
    reason: reasonText(reason),
    ...(exitCode === undefined ? {} : { exitCode })
  })

const brokenReply = (spec: PluginSpec): WorkerCrash =>
  crashed(spec, { reason: "it broke the protocol: a reply of another shape" })

const Info = Schema.fromJsonString(
  Schema.Struct({
    name: Schema.String,
    version: Schema.String,
    capabilities: Schema.optionalKey(Schema.Unknown)
  })
)
const Text = Schema.fromJsonString(Schema.String)
const Thrown = Schema.fromJsonString(ThrownValue)
const decodeInfo = Schema.decodeEffect(Info)
const decodeText = Schema.decodeEffect(Text)
const decodeThrown = Schema.decodeEffect(Thrown)

export type UngrantedUse = AuditLine | { readonly capability: "net"; readonly what: string }

/** What an isolate is used for, and by whose leave. */
export interface Subject {
  readonly spec: PluginSpec
  readonly grants: ResolvedGrants
  /** Where relative paths of grants start. */
  readonly base: string
  /** Told what a plugin in audit mode uses without a grant; answers whether that is news. */
  readonly audit: (use: UngrantedUse) => boolean
}

/**
 * A request and all that is said until its reply. Log lines are Effect logs of the fiber that runs the plugin,
 * with that fiber's annotations; requests on the network end with it.
 */
const converse = (
  isolate: Isolate,
  { spec, grants, audit }: Subject,
  send: Parameters<Isolate["request"]>[0]
): Effect.Effect<GuestReply, WorkerCrash> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const runSync = Effect.runSyncWith(context)
    // Whoever is not in audit mode has nothing to report.
    const inAudit = spec.enforcement === "audit"
    const report = ({ capability, what }: UngrantedUse): void => {
      const use = { capability, what: lineText(what) }
      if (!inAudit || !audit(use)) return
      runSync(Effect.logWarning(`audit: ${use.what} is not granted; it would take grants.${capability}`))
    }
    const net = lazySession(
      spec,
      grants,
      inAudit ? (what) => report({ capability: "net", what }) : undefined,
      (json) => isolate.tell(Request.net + json)
    )
    const conversation: Conversation = {
      limits: spec.limits,
      log: (level, text) => runSync(Effect.logWithLevel(level)(printable(text))),
      net: net.receive,
      audit: report
    }
    return isolate.request(send, conversation).pipe(
      Effect.ensuring(net.close),
      Effect.mapError((death) => crashed(spec, death))
    )
  })

/** What one load gives: who the plugin says it is, and whether its files have changed since. */
export interface Loaded {
  readonly info: PluginInfo
  readonly changed: Effect.Effect<boolean>
}

/** Makes a booted isolate the isolate of the spec's plugin. */
export const loadPlugin = (
  isolate: Isolate,
  subject: Subject,
  entry: string,
  loader: ModuleLoader["Service"] | undefined
): Effect.Effect<Loaded, PluginError> =>
  Effect.gen(function* () {
    const { spec, grants } = subject
    const refused = (reason: string): LoadError =>
      new LoadError({ plugin: spec.name, modulePath: spec.modulePath, reason: reasonText(reason) })
    const modules =
      loader === undefined
        ? undefined
        : yield* Effect.mapError(
            loader.open(entry, {
              framed: isolate.framed,
              ...(spec.integrity === undefined ? {} : { integrity: spec.integrity })
            }),
            refused
          )
    const url = yield* Effect.try({
      try: () => pathToFileURL(realpathSync(entry)).href,
      catch: () => refused("there is no such file; correct the modulePath")
    })
    const { outputLength, logLines, logLength, memory } = spec.limits
    const deadline = Duration.toMillis(spec.timeout) + Duration.toMillis(spec.grace)
    const request: LoadRequest = {
      entry: url,
      method: spec.kind.method,
      name: spec.name,
      config: spec.config,
      env: grants.env,
      limits: { outputLength, logLines, logLength, memory, deadline },
      ...(spec.enforcement === "audit" ? { audit: { read: grants.read, write: grants.write } } : {})
    }
    const body = JSON.stringify(request)
    const reply = yield* converse(isolate, subject, (transport, nonce) =>
      transport.load(Request.load + nonce + body, modules?.channel, outputLength)
    )
    if (reply.type === Reply.loadFailed) {
      const reason = yield* Effect.mapError(decodeText(reply.body), () => brokenReply(spec))
      return yield* refused(reason)
    }
    if (reply.type !== Reply.loaded) return yield* brokenReply(spec)
    const { name, version, capabilities } = yield* Effect.mapError(decodeInfo(reply.body), () =>
      brokenReply(spec)
    )
    // Where plugins are trusted nothing is held back, so that nothing can be granted either.
    if (capabilities !== undefined && loader !== undefined) {
      const declared = yield* Effect.mapError(decodeCapabilities(capabilities), refused)
      const problem = capabilitiesProblem(declared, spec.grants, subject.base)
      // An audit is there to find out what a plugin uses, whatever it declares.
      if (problem !== undefined && spec.enforcement !== "audit") return yield* refused(problem)
    }
    return {
      info: { name: nameText(name), version: nameText(version) },
      changed: modules?.changed ?? Effect.succeed(false)
    }
  })

/** Runs a loaded plugin on an input's JSON; answers its output's JSON. */
export const runPlugin = (
  isolate: Isolate,
  subject: Subject,
  input: string,
  /** Told that the isolate must not serve another run. */
  spend: () => void
): Effect.Effect<string, PluginError> =>
  converse(isolate, subject, (transport, nonce) => transport.send(Request.run + nonce + input)).pipe(
    Effect.flatMap((reply) => {
      if (reply.leftover || reply.type === Reply.uncrossable) spend()
      return meaning(subject.spec, reply, spend)
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
        onSuccess: (issue) => Effect.fail(new InvalidOutput({ plugin: spec.name, issue: lineText(issue) }))
      })
    default:
      spend()
      return Effect.fail(brokenReply(spec))
  }
}
