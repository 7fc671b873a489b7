/** Loads a plugin into a booted isolate: opens its modules, sends the load request, reads the reply. */
import { Duration, Effect, Result, Schema } from "effect"
import { pathToFileURL } from "node:url"
import { realpathSync } from "node:fs"
import { CodePlace, LoadError, type PluginError, ThrownValue, type WorkerCrash } from "../../Errors.ts"
import { checkCapabilities, decodeCapabilities } from "../../capabilities/declared.ts"
import { type LoadRequest, type PluginInfo, ReplyType } from "../../wire/messages.ts"
import type { PluginSpec } from "../../Plugin.ts"
import type { Isolate } from "./Isolate.ts"
import type { GuestModules } from "../../modules/GuestModules.ts"
import type { GuestReply } from "./PendingRequests.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import { placed } from "./loadFailurePlace.ts"
import {
  brokenReply,
  crashed,
  nameText,
  pathText,
  printablePlace,
  printableThrown,
  reasonText,
  unpreparedError
} from "./pluginErrors.ts"
import { SideMessageHandler } from "./SideMessageHandler.ts"
import type { Death } from "./Transport.ts"

const Info = Schema.fromJsonString(
  Schema.Struct({
    name: Schema.String,
    version: Schema.String,
    methods: Schema.Array(Schema.String),
    capabilities: Schema.optionalKey(Schema.Unknown)
  })
)
const Failure = Schema.fromJsonString(
  Schema.Struct({
    message: Schema.String,
    cause: Schema.optionalKey(ThrownValue),
    missingMethod: Schema.optionalKey(Schema.String),
    importer: Schema.optionalKey(Schema.String),
    place: Schema.optionalKey(CodePlace)
  })
)
const decodeInfo = Schema.decodeEffect(Info)
const decodeFailure = Schema.decodeEffect(Failure)

interface LoadOptions {
  /** Absolute path of the plugin's module. */
  readonly entry: string
  /** Absent if guests read their modules themselves. */
  readonly modules: GuestModules | undefined
  /** Annotations of its log lines. */
  readonly labels: { readonly [label: string]: string }
}

/** Sends the load request and waits for the reply. */
const askToLoad = (
  isolate: Isolate,
  resolved: ResolvedPlugin,
  request: LoadRequest,
  { modules, labels }: LoadOptions
): Effect.Effect<GuestReply, WorkerCrash> =>
  Effect.withFiber((fiber) =>
    Effect.callback<GuestReply, WorkerCrash>((resume) => {
      const { spec } = resolved
      const side = new SideMessageHandler(isolate, resolved, { fiber, labels })
      const died = (death: Death): void => resume(side.after(Effect.fail(crashed(spec, death))))
      isolate.load(request, modules, {
        limits: spec.limits,
        side,
        begun: () => {},
        replied: (reply) => resume(side.after(Effect.succeed(reply))),
        died,
        notStarted: () => died({ reason: "it ended without an answer" }),
        defect: (defect) => resume(side.after(Effect.die(defect)))
      })
      return Effect.suspend(() => side.after(Effect.void))
    })
  )

const refused = (spec: PluginSpec, reason: string, more?: Omit<typeof Failure.Type, "message">): LoadError =>
  new LoadError({
    plugin: spec.name,
    modulePath: spec.modulePath,
    reason: reasonText(reason),
    ...(more?.cause === undefined ? {} : { cause: printableThrown(more.cause) }),
    // Only the requested method can be missing; a plugin may report anything.
    ...(more?.missingMethod === spec.kind.method ? { missingMethod: spec.kind.method } : {}),
    ...(more?.importer === undefined ? {} : { importer: pathText(more.importer) }),
    ...(more?.place === undefined ? {} : { place: printablePlace(more.place) })
  })

/** Loads the spec's plugin into a booted isolate. Returns what the plugin calls itself. */
export const loadPlugin = Effect.fnUntraced(function* (
  isolate: Isolate,
  resolved: ResolvedPlugin,
  options: LoadOptions
): Effect.fn.Return<PluginInfo, PluginError> {
  const { entry, modules } = options
  const { spec, grants } = resolved
  const url = yield* Effect.try({
    try: () => pathToFileURL(realpathSync(entry)).href,
    catch: () => refused(spec, "there is no such file; correct the modulePath")
  })
  const { outputLength, logLines, logLength, memory } = spec.limits
  const deadline = Duration.toMillis(spec.timeout) + Duration.toMillis(spec.grace)
  const request: LoadRequest = {
    entry: url,
    method: spec.kind.method,
    otherMethods: spec.kind.otherMethods ?? [],
    name: spec.name,
    config: spec.config,
    env: grants.env,
    limits: { outputLength, logLines, logLength, memory, deadline },
    ...(spec.enforcement === "audit" ? { audit: { read: grants.read, write: grants.write } } : {})
  }
  const reply = yield* askToLoad(isolate, resolved, request, options)
  if (reply.type === ReplyType.loadFailed) {
    const failure = yield* Effect.mapError(decodeFailure(reply.body), () => brokenReply(spec))
    const { reason, ...where } = placed(failure, entry)
    return yield* refused(spec, reason, { ...failure, ...where })
  }
  if (reply.type !== ReplyType.loaded) return yield* brokenReply(spec)
  const { name, version, methods, capabilities } = yield* Effect.mapError(decodeInfo(reply.body), () =>
    brokenReply(spec)
  )
  // If plugins are trusted, nothing is restricted, so no grant can be missing.
  if (capabilities !== undefined && modules !== undefined) {
    const granted = Result.flatMap(decodeCapabilities(capabilities), (declared) =>
      // An audit reports what a plugin uses, whatever it declares.
      spec.enforcement === "audit" ? Result.void : checkCapabilities(declared, spec.grants, resolved.base)
    )
    if (Result.isFailure(granted)) return yield* unpreparedError(spec, granted.failure)
  }
  // Only the requested methods; a plugin may report anything.
  const known = [request.method, ...request.otherMethods].filter((method) => methods.includes(method))
  return { name: nameText(name), version: nameText(version), methods: known }
})
