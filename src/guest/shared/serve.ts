/**
 * Loads one plugin and runs it, one request at a time, for the host. Everything specific to an environment is in
 * its `Realm`, because this runs in Node's threads and processes and inside QuickJS.
 */
import { describeReason, describeThrown, quote } from "./describe.ts"
import { globalKeys, parse, string } from "./intrinsics.ts"
import { configOf, LoadRefusal } from "./configOf.ts"
import { type PluginModule, readPlugin } from "./pluginModule.ts"
import { written } from "./writeOutput.ts"
import { missingGrantsJson } from "./missingGrants.ts"
import { originJson } from "./ModuleProblem.ts"
import {
  decodeLoad,
  decodeNetAnswer,
  decodeRun,
  encodeEnd,
  encodeHello,
  encodeReply,
  tagOf,
  typeOf
} from "../../wire/codec.ts"
import { joinInput, type LongText } from "../../wire/runInput.ts"
import {
  type GuestLimits,
  type HostLine,
  Leftover,
  type LoadRequest,
  ReplyType,
  RequestType,
  Waiting
} from "../../wire/messages.ts"

type LogMethod = (...args: ReadonlyArray<unknown>) => void

export interface PluginLog {
  readonly debug: LogMethod
  readonly info: LogMethod
  readonly warn: LogMethod
  readonly error: LogMethod
}

/** The functions of the environment that `serve` needs. */
export interface Realm {
  readonly line: HostLine
  /** The log budget of a run. */
  readonly logs: { readonly begin: (limits: GuestLimits) => void; readonly end: () => void }
  readonly log: PluginLog
  readonly net: {
    readonly fetch: unknown
    /** Takes a message from the broker. */
    readonly receive: (json: string) => void
    /** Ends the requests of a run that is over. */
    readonly reset: () => void
    /** The number of open requests. */
    readonly active: () => number
  }
  /** Sets the tag of the request that side messages (logs, network, audit) belong to from now on. */
  readonly setTag: (tag: string) => void
  /** Called before the plugin is imported. */
  readonly begin: (request: LoadRequest) => void
  readonly importPlugin: (entry: string) => Promise<object>
  /**
   * Called with what a run threw. Ends the isolate if the run took more memory than its limit, because the operating
   * system may refuse memory before the host has noticed.
   */
  readonly checkMemory?: (thrown: unknown) => void
  /** The number of open timers, sockets and similar resources. */
  readonly activeResources: () => number
  /** Whether to count the globals after this run. Counting globals takes longer than counting resources. */
  readonly countsGlobals: () => boolean
}

/** The JSON of a `LoadFailure`. */
const failureOf = (error: unknown): string => {
  if (!(error instanceof LoadRefusal))
    return `{"message":${quote(describeReason(error))},"cause":${describeThrown(error)}${originJson(error)}}`
  const missing = error.missingMethod === undefined ? "" : `,"missingMethod":${quote(error.missingMethod)}`
  return `{"message":${quote(error.message)}${missing}}`
}

const Controller = AbortController
const { clearTimeout, setTimeout } = globalThis

/** After this time a load that does nothing says what it waits for, in milliseconds. */
const idleTime = 100

/**
 * The context that a method receives as its second argument. The signal is created at its first use, because few
 * plugins need it.
 */
class RunContext {
  readonly log: unknown
  readonly fetch: unknown
  readonly traceparent: string | undefined
  #controller: AbortController | undefined
  #aborted = false

  constructor(log: unknown, fetch: unknown, traceparent: string | undefined) {
    this.log = log
    this.fetch = fetch
    this.traceparent = traceparent
  }

  get signal(): AbortSignal {
    this.#controller ??= new Controller()
    if (this.#aborted) this.#controller.abort()
    return this.#controller.signal
  }

  abort(): void {
    this.#aborted = true
    this.#controller?.abort()
  }
}

interface Loaded extends Pick<PluginModule, "run"> {
  readonly config: unknown
  readonly limits: GuestLimits
  /** The resources that were open after loading. A run that ends with more has left some behind. */
  resources: number
  readonly globals: number
}

/** Serves requests until the isolate ends. */
export const serve = (realm: Realm): void => {
  const { line, logs, net } = realm
  let loaded: Loaded | undefined
  let current: RunContext | undefined

  const log: PluginLog = {
    debug: realm.log.debug,
    info: realm.log.info,
    warn: realm.log.warn,
    error: realm.log.error
  }
  const answer = (text: string): void => {
    logs.end()
    net.reset()
    line.post(text)
  }
  /** Which of requests, resources or globals a run has left behind in its isolate. */
  const leftover = (of: Loaded): string => {
    const resources = realm.activeResources()
    const left =
      net.active() > 0
        ? Leftover.requests
        : resources > of.resources
          ? Leftover.resources
          : realm.countsGlobals() && globalKeys() !== of.globals
            ? Leftover.globals
            : Leftover.none
    // If resources of the load have closed since, lower the allowance, so that a run cannot use it up.
    if (resources < of.resources) of.resources = resources
    return left
  }

  const load = async (tag: string, request: LoadRequest): Promise<void> => {
    realm.setTag(tag)
    logs.begin(request.limits)
    let waitsFor: string = Waiting.module
    const timer = setTimeout(() => line.post(encodeReply(ReplyType.waiting, tag, waitsFor)), idleTime)
    // The timer must not keep the isolate alive.
    timer.unref()
    try {
      realm.begin(request)
      const namespace = await realm.importPlugin(request.entry)
      const { plugin, run, info } = readPlugin(namespace, request)
      waitsFor = Waiting.config
      const config = await configOf(plugin, request.config)
      clearTimeout(timer)
      loaded = {
        run,
        config,
        limits: request.limits,
        resources: realm.activeResources(),
        globals: globalKeys()
      }
      answer(encodeReply(ReplyType.loaded, tag, info))
    } catch (error) {
      clearTimeout(timer)
      answer(encodeReply(ReplyType.loadFailed, tag, failureOf(error)))
    }
  }

  const run = async (
    tag: string,
    text: string,
    texts: ReadonlyArray<LongText> | undefined,
    of: Loaded
  ): Promise<void> => {
    realm.setTag(tag)
    logs.begin(of.limits)
    const { traceparent, input: json } = decodeRun(text)
    const input: object = { ...joinInput({ json, texts }), config: of.config }
    current = new RunContext(log, net.fetch, traceparent)
    let output: unknown
    try {
      output = await of.run(input, current)
    } catch (thrown) {
      realm.checkMemory?.(thrown)
      const description = describeThrown(thrown, missingGrantsJson(thrown))
      answer(encodeEnd(ReplyType.thrown, tag, leftover(of), description))
      return
    }
    const { text: outputJson, problem } = written(output, of.limits.outputLength)
    answer(
      problem === undefined
        ? encodeEnd(ReplyType.output, tag, leftover(of), string(outputJson))
        : encodeEnd(ReplyType.uncrossable, tag, leftover(of), quote(problem))
    )
  }

  line.listen((text, texts) => {
    const type = typeOf(text)
    if (type === RequestType.net) return net.receive(decodeNetAnswer(text))
    if (type === RequestType.abort) return current?.abort()
    if (type === RequestType.load) void load(tagOf(text), parse(decodeLoad(text)))
    else if (type === RequestType.run && loaded !== undefined) void run(tagOf(text), text, texts, loaded)
  })
  line.post(encodeHello())
}
