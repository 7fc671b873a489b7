/** CommonJS modules: `require`, with a module's names and the cycles between modules as Node has them. */
import { apply, parse } from "../intrinsics.ts"
import { quote } from "../describe.ts"
import { crossing, host } from "./host.ts"

interface Module {
  readonly id: string
  readonly filename: string
  exports: unknown
  loaded: boolean
  readonly children: ReadonlyArray<Module>
  readonly paths: ReadonlyArray<string>
}

type Resolved =
  | { readonly url: string; readonly format: string }
  | { readonly error: string; readonly syntax?: true }

/** By URL; without a prototype that a plugin could patch. */
const modules: { [url: string]: Module } = Object.create(null)

const fileOf = (url: string): string => decodeURIComponent(url.replace(/^file:\/\/|\?.*$/g, ""))
const folderOf = (file: string): string => file.slice(0, file.lastIndexOf("/")) || "/"

const resolve = (specifier: unknown, parent: string): Extract<Resolved, { readonly url: string }> => {
  const asked = `[${quote(crossing(`${specifier}`, "a specifier"))},${quote(parent)}]`
  const found: Resolved = parse(host.resolve(asked))
  if ("error" in found) {
    throw found.syntax === true
      ? new SyntaxError(found.error)
      : Object.assign(new Error(found.error), { code: "MODULE_NOT_FOUND" })
  }
  return found
}

const requireIn = (parent: string) =>
  Object.assign(
    (specifier: unknown): unknown => {
      const { url, format } = resolve(specifier, parent)
      if (format === "module") {
        throw new Error(
          `Cannot require "${specifier}": it is an ES module, and isolation "wasm" can only import those; use import`
        )
      }
      return format === "json" ? jsonOf(url) : run(url).exports
    },
    { resolve: (specifier: unknown) => fileOf(resolve(specifier, parent).url), cache: {}, main: undefined }
  )

const add = (url: string, exports: unknown): Module => {
  const filename = fileOf(url)
  return (modules[url] = { id: filename, filename, exports, loaded: false, children: [], paths: [] })
}

const jsonOf = (url: string): unknown => (modules[url] ?? add(url, parse(host.text(url)))).exports

const run = (url: string): Module => {
  const known = modules[url]
  if (known !== undefined) return known
  const module = add(url, {})
  const { exports, filename } = module
  try {
    const wrapper = host.compile(url)
    apply(wrapper, exports, [exports, requireIn(url), module, filename, folderOf(filename)])
  } catch (error) {
    delete modules[url]
    throw error
  }
  module.loaded = true
  return module
}

/** What a CommonJS module exports, for its ES counterpart; it has run by then. */
export const exportsOf = (url: string): unknown => run(url).exports

/** Runs a CommonJS module; answers the names that an ES module can import from it, as JSON. */
export const evaluate = (url: string): string => {
  const { exports } = run(url)
  const has = (typeof exports === "object" && exports !== null) || typeof exports === "function"
  let names = ""
  for (const name of has ? Object.keys(exports) : []) {
    if (name !== "default" && name.isWellFormed()) names += `${names === "" ? "" : ","}${quote(name)}`
  }
  return `[${names}]`
}
