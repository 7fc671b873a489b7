/** Loads one plugin and runs it, one request at a time, for the host at the other end of the port. */
import type { MessagePort } from "node:worker_threads"
import type { GuestConsole } from "./console.ts"
import { describeReason, describeThrown, quote } from "./describe.ts"
import { activeResources, cut, globalKeys, listen, parse, post, stringify } from "./intrinsics.ts"
import {
  type GuestLimits,
  Leftover,
  type LoadRequest,
  nonceLength,
  noNonce,
  type PluginInfo,
  Reply,
  Request
} from "./protocol.ts"

type Method = (input: unknown, context: { readonly signal: AbortSignal }) => unknown

const Controller = AbortController

/** What a method is called with beside its input. The signal is made when it is looked at: few plugins do. */
class RunContext {
  #controller: AbortController | undefined
  #aborted = false

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

interface Loaded {
  readonly plugin: object
  readonly method: Method
  readonly config: unknown
  readonly limits: GuestLimits
  /** What the plugin had open when it was loaded; a run that ends with more has left something behind. */
  readonly resources: number
  readonly globals: number
}

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

/** A refusal whose text is for the plugin's author. */
class LoadRefusal extends Error {
  override name = "LoadRefusal"
}

const pluginOf = (namespace: object, method: string): { readonly plugin: object; readonly run: Method } => {
  for (const plugin of [Reflect.get(namespace, "default"), namespace]) {
    if (!isObject(plugin)) continue
    const run: unknown = Reflect.get(plugin, method)
    if (typeof run === "function")
      return { plugin, run: (input, context) => Reflect.apply(run, plugin, [input, context]) }
  }
  const hasDefault = isObject(Reflect.get(namespace, "default"))
  throw new LoadRefusal(
    hasDefault
      ? `its default export has no method "${method}"; add one, or configure it under the kind it was written for`
      : `it has no default export with a method "${method}"; add \`export default { name, version, ${method}(input) { … } }\``
  )
}

const pathOf = (path: unknown): string => {
  if (!Array.isArray(path)) return "config"
  return path.reduce<string>((text, part) => {
    const key: unknown = isObject(part) ? Reflect.get(part, "key") : part
    return typeof key === "number" ? `${text}[${key}]` : `${text}.${String(key)}`
  }, "config")
}

/** What the plugin's own schema makes of the operator's config. */
const configOf = async (plugin: object, config: unknown): Promise<unknown> => {
  const schema: unknown = Reflect.get(plugin, "configSchema")
  if (schema === undefined) return config
  const standard: unknown = isObject(schema) ? Reflect.get(schema, "~standard") : undefined
  const validate: unknown = isObject(standard) ? Reflect.get(standard, "validate") : undefined
  if (typeof validate !== "function") {
    throw new LoadRefusal("its configSchema is not a Standard Schema (it has no ~standard.validate)")
  }
  const result: unknown = await Reflect.apply(validate, standard, [config])
  if (!isObject(result)) throw new LoadRefusal("its configSchema did not answer with a result")
  const issues: unknown = Reflect.get(result, "issues")
  if (!Array.isArray(issues)) return Reflect.get(result, "value")
  const lines = issues
    .slice(0, 10)
    .map((issue: unknown) =>
      isObject(issue)
        ? `${pathOf(Reflect.get(issue, "path"))}: ${String(Reflect.get(issue, "message"))}`
        : String(issue)
    )
  throw new LoadRefusal(`its configSchema refuses the config: ${lines.join("; ")}`)
}

const stringOr = (value: unknown, fallback: string): string =>
  typeof value === "string" ? cut(value, 0, 200) : fallback

/** Whether a run has left timers, handles or globals in its isolate. */
const leftover = (of: Loaded): string =>
  activeResources() > of.resources || globalKeys() !== of.globals ? Leftover.some : Leftover.none

/** Serves the port for as long as the isolate lives. `importPlugin` is told where modules come from. */
export const serve = (
  port: MessagePort,
  guestConsole: GuestConsole,
  setNonce: (nonce: string) => void,
  importPlugin: (request: LoadRequest) => Promise<object>
): void => {
  let loaded: Loaded | undefined
  let current: RunContext | undefined

  const load = async (request: LoadRequest): Promise<void> => {
    setNonce(request.nonce)
    guestConsole.begin(request.limits)
    try {
      const namespace = await importPlugin(request)
      const { plugin, run } = pluginOf(namespace, request.method)
      const config = await configOf(plugin, parse(request.config))
      const info: PluginInfo = {
        name: stringOr(Reflect.get(plugin, "name"), request.name),
        version: stringOr(Reflect.get(plugin, "version"), "0.0.0")
      }
      loaded = {
        plugin,
        method: run,
        config,
        limits: request.limits,
        resources: activeResources(),
        globals: globalKeys()
      }
      guestConsole.end()
      post(
        port,
        `${Reply.loaded}${request.nonce}{"name":${quote(info.name)},"version":${quote(info.version)}}`
      )
    } catch (error) {
      guestConsole.end()
      const reason = error instanceof LoadRefusal ? error.message : describeReason(error)
      post(port, `${Reply.loadFailed}${request.nonce}${quote(reason)}`)
    }
  }

  const run = async (nonce: string, body: string, of: Loaded): Promise<void> => {
    setNonce(nonce)
    guestConsole.begin(of.limits)
    const input: object = { ...parse(body), config: of.config }
    current = new RunContext()
    let output: unknown
    try {
      output = await of.method(input, current)
    } catch (thrown) {
      const description = describeThrown(thrown)
      guestConsole.end()
      post(port, `${Reply.thrown}${nonce}${leftover(of)}${description}`)
      return
    }
    let problem: string | undefined
    let text: unknown
    try {
      text = stringify(output)
      if (typeof text !== "string")
        problem = `expected JSON, got ${output === undefined ? "nothing (undefined)" : `a ${typeof output}`}`
      else if (text.length > of.limits.outputLength) {
        problem = `expected at most ${of.limits.outputLength} characters of JSON (limits.outputLength), got ${text.length}`
      }
    } catch (thrown) {
      problem = `expected a value that can be written as JSON, got one that cannot (${describeReason(thrown)})`
    }
    guestConsole.end()
    post(
      port,
      problem === undefined
        ? `${Reply.output}${nonce}${leftover(of)}${text}`
        : `${Reply.uncrossable}${nonce}${leftover(of)}${quote(problem)}`
    )
  }

  listen(port, (message) => {
    if (typeof message !== "string") {
      // The host speaks in texts but for this one, which carries a port.
      void load(message as LoadRequest)
      return
    }
    if (message[0] === Request.run && loaded !== undefined) {
      const nonce = cut(message, 1, 1 + nonceLength)
      void run(nonce, cut(message, 1 + nonceLength), loaded)
    } else if (message[0] === Request.abort) {
      current?.abort()
    }
  })
  post(port, `${Reply.hello}${noNonce}{"protocol":1}`)
}
