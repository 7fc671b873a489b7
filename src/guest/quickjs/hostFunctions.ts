/**
 * The functions outside QuickJS that code inside can call: all of `Host` (host.ts). They take and return only
 * strings, numbers and buffers, and their work is bounded by the arguments' length. An error crosses as its name
 * and message.
 */
import type { QuickJSContext, QuickJSHandle } from "quickjs-emscripten-core"
import { type Host, urlParts } from "./host.ts"
import { crossing } from "./crossing.ts"
import { type EngineModules, sourceText } from "./EngineModules.ts"

export interface Outside {
  readonly modules: EngineModules
  readonly post: Host["post"]
  readonly exit: Host["exit"]
  readonly serve: (turn: QuickJSHandle, evaluate: QuickJSHandle) => void
}

const partsOf = (url: URL): string =>
  JSON.stringify(Object.fromEntries(urlParts.map((part) => [part, url[part]])))

const setPart = (json: string): string => {
  const [href, part, value]: [string, string, string] = JSON.parse(json)
  const url = new URL(href)
  const known = urlParts.find((name) => name === part)
  if (known !== undefined && known !== "origin") url[known] = value
  return partsOf(url)
}

const parseUrl = (json: string): string | undefined => {
  const [input, base]: [string, string | undefined] = JSON.parse(json)
  const url = URL.parse(input, base)
  return url === null ? undefined : partsOf(url)
}

/** Puts the functions on the global object. The realm's first module removes them from there. */
export const defineHost = (context: QuickJSContext, { modules, post, exit, serve }: Outside): void => {
  const text = (handle: QuickJSHandle | undefined): string =>
    handle === undefined ? "" : context.getString(handle)
  const number = (handle: QuickJSHandle | undefined): number =>
    handle === undefined ? Number.NaN : context.getNumber(handle)
  const flag = (handle: QuickJSHandle | undefined): boolean => number(handle) === 1
  const textOrNothing = (value: string | undefined): QuickJSHandle =>
    value === undefined ? context.undefined : context.newString(value)
  const buffer = (bytes: Uint8Array): QuickJSHandle =>
    context.newArrayBuffer(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))

  const withBytes = <A>(handle: QuickJSHandle, use: (bytes: Uint8Array) => A): A => {
    const bytes = context.getArrayBuffer(handle)
    try {
      // Checked here too: code inside QuickJS reads the length from a prototype that a plugin can patch.
      return use(crossing(bytes.value, "what crosses"))
    } finally {
      bytes.dispose()
    }
  }

  type Functions = {
    readonly [Name in keyof Host]: (...args: ReadonlyArray<QuickJSHandle>) => QuickJSHandle | undefined
  }
  const functions: Functions = {
    post: (message) => void post(text(message)),
    exit: (code) => void exit(number(code) & 255),
    serve: (turn, evaluate) => {
      if (turn !== undefined && evaluate !== undefined) serve(turn.dup(), evaluate.dup())
      return undefined
    },
    now: () => context.newNumber(performance.now()),
    random: () => context.newNumber(Math.random()),
    randomBytes: (length) =>
      buffer(crypto.getRandomValues(new Uint8Array(Math.min(65_536, Math.max(0, number(length)))))),
    randomUUID: () => context.newString(crypto.randomUUID()),
    encode: (json) => buffer(new TextEncoder().encode(JSON.parse(text(json)))),
    decode: (bytes, label, fatal, ignoreBOM) => {
      const decoder = new TextDecoder(text(label), { fatal: flag(fatal), ignoreBOM: flag(ignoreBOM) })
      return textOrNothing(
        withBytes(bytes, (view) => {
          try {
            return JSON.stringify(decoder.decode(view))
          } catch {
            // In fatal mode, and the bytes are invalid.
            return undefined
          }
        })
      )
    },
    toBase64: (bytes) => context.newString(withBytes(bytes, (view) => Buffer.from(view).toString("base64"))),
    fromBase64: (base64) => buffer(Buffer.from(text(base64), "base64")),
    encodingName: (label) => context.newString(new TextDecoder(text(label)).encoding),
    parseUrl: (json) => textOrNothing(parseUrl(text(json))),
    setUrl: (json) => context.newString(setPart(text(json))),
    parseQuery: (json) => context.newString(JSON.stringify([...new URLSearchParams(JSON.parse(text(json)))])),
    formatQuery: (json) =>
      context.newString(JSON.stringify(new URLSearchParams(JSON.parse(text(json))).toString())),
    resolve: (json) => {
      const [specifier, parent]: [string, string] = JSON.parse(text(json))
      const { url, format } = modules.resolve(specifier, parent, true)
      return context.newString(JSON.stringify({ url, format }))
    },
    compile: (url) => {
      const name = text(url)
      const source = sourceText(modules.text(name))
      const wrapper = `(function (exports, require, module, __filename, __dirname) {${source}\n})`
      return context.unwrapResult(context.evalCode(wrapper, name, { type: "global" }))
    },
    text: (url) => context.newString(modules.text(text(url)))
  }

  const host = context.newObject()
  for (const [name, call] of Object.entries(functions)) {
    // The function's handle is never disposed: the function must outlive every image of the memory that refers to
    // it.
    context.setProp(host, name, context.newFunction(name, call))
  }
  context.setProp(context.global, "agentlip.host", host)
  host.dispose()
}
