/** CommonJS modules inside QuickJS. */
import { makeCommonJs, moduleNotFound, type Resolved } from "../shared/commonjs.ts"
import { quote } from "../shared/describe.ts"
import { isObject, parse } from "../shared/intrinsics.ts"
import { crossing } from "./crossing.ts"
import { host } from "./host.ts"

const resolve = (specifier: string, parent: string): Resolved => {
  const asked = `[${quote(crossing(specifier, "a specifier"))},${quote(parent)}]`
  try {
    return parse(host.resolve(asked))
  } catch (error) {
    // Only the name and the message have crossed: made again, the error has a stack.
    if (!(error instanceof Error)) throw error
    throw error.name === "SyntaxError"
      ? new SyntaxError(error.message)
      : moduleNotFound(new Error(error.message))
  }
}

/** JSON modules by URL. The map has no prototype that a plugin could patch. */
const json: { [url: string]: { readonly value: unknown } } = Object.create(null)

const { run } = makeCommonJs({
  resolve,
  other: ({ url, format }, specifier) => {
    if (format === "json") return (json[url] ??= { value: parse(host.text(url)) }).value
    throw new Error(
      `Cannot require "${specifier}": it is an ES module, and isolation "wasm" can only import those; use import`
    )
  },
  compile: host.compile,
  fileOf: (url) => decodeURIComponent(url.replace(/^file:\/\/|\?.*$/g, "")),
  folderOf: (file) => file.slice(0, file.lastIndexOf("/")) || "/"
})

/** A CommonJS module's exports, for the ES module that re-exports them. The module has run by then. */
export const exportsOf = run

/** Runs a CommonJS module. Returns a JSON list of the names that an ES module can import from it. */
export const evaluate = (url: string): string => {
  const exports = run(url)
  let names = ""
  for (const name of isObject(exports) ? Object.keys(exports) : []) {
    if (name !== "default" && name.isWellFormed()) names += `${names === "" ? "" : ","}${quote(name)}`
  }
  return `[${names}]`
}
