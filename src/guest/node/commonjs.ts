/**
 * CommonJS modules in Node, run by the guest's own loader in the place of Node's: no module object of Node's is ever
 * a plugin's to see.
 */
// By namespace: a runtime without hooks (Bun) must still be able to load this file.
import * as nodeModule from "node:module"
import { dirname } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import * as vm from "node:vm"
import { type CommonJs, makeCommonJs, type Resolved } from "../shared/commonjs.ts"
import { apply, startsWith } from "../shared/intrinsics.ts"
import { denied } from "./denied.ts"
import type { ModuleText } from "../shared/PreloadedModules.ts"

export interface CommonJsFiles {
  /** What a module's specifier means to the loader. */
  readonly find: (specifier: string, parent: string) => ModuleText
  readonly sourceOf: (url: string) => string
  /** A built-in as a plugin may have it; throws for one that it may not have. */
  readonly builtin: (specifier: string) => object | undefined
}

export interface NodeCommonJs {
  readonly createRequire: (from: unknown) => ReturnType<CommonJs["requireIn"]>
  /** What a `require` of a module that is no CommonJS is at, for the hook that Node asks next. */
  readonly required: () => Resolved | undefined
}

/** Members of Node's `Module` that change how modules load, or look at the disk past the loader. */
const closedMembers = [
  "registerHooks",
  "register",
  "setSourceMapsSupport",
  "syncBuiltinESMExports",
  "findPackageJSON",
  "enableCompileCache",
  "flushCompileCache",
  "_stat",
  "_findPath",
  "_readPackage",
  "_initPaths",
  "_preloadModules"
]

type Load = (request: string, parent: unknown, isMain: boolean, options?: unknown) => unknown

/** How a plugin's module finds others that it imports while it runs. */
const dynamicImports = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER
const parameters = ["exports", "require", "module", "__filename", "__dirname"]

/** Where a path or URL that a plugin gives as a place for a `require` is. */
const placeOf = (from: unknown): string => {
  if (from instanceof URL) return from.href
  if (typeof from === "string" && startsWith(from, "file:")) return from
  if (typeof from === "string" && startsWith(from, "/")) return pathToFileURL(from).href
  throw new TypeError("createRequire takes the absolute path or the file URL of a module")
}

export const installCommonJs = ({ find, sourceOf, builtin }: CommonJsFiles): NodeCommonJs => {
  const { Module } = nodeModule
  // Not in Node's types, and for everybody to replace.
  const original: Load = Reflect.get(Module, "_load")
  let asked: Resolved | undefined
  /** By file, as Node asks for it; without a prototype that a plugin could patch. */
  const urls: { [filename: string]: string } = Object.create(null)

  const builtins = "node:"
  const files = makeCommonJs({
    resolve: (specifier, parent) => {
      if (builtin(specifier) !== undefined) return { url: specifier, format: builtins }
      const { url, format } = find(specifier, parent)
      if (format === "commonjs") urls[fileURLToPath(url)] = url
      return { url, format }
    },
    other: (found) => {
      if (found.format === builtins) return builtin(found.url)
      asked = found
      try {
        return apply(original, Module, [fileURLToPath(found.url), undefined, false])
      } finally {
        asked = undefined
      }
    },
    compile: (url) =>
      vm.compileFunction(sourceOf(url), parameters, {
        filename: fileURLToPath(url),
        ...(dynamicImports === undefined ? {} : { importModuleDynamically: dynamicImports })
      }),
    fileOf: (url) => (startsWith(url, "file:") ? fileURLToPath(url) : url),
    folderOf: dirname
  })

  // Node comes here for a CommonJS module that is imported, with its file, once the hooks have given its source.
  const load: Load = (request) => files.run(urls[request] ?? pathToFileURL(request).href)
  Object.defineProperty(Module, "_load", { value: load, writable: false, configurable: false })
  // Should a plugin come by Node's loader all the same: it could add hooks that are asked before the guest's, and
  // the rest looks at the disk.
  const refuse = (): never => {
    throw denied("Node's module internals", "A plugin cannot change how modules load.")
  }
  for (const name of closedMembers) {
    if (name in Module) {
      Object.defineProperty(Module, name, { value: refuse, writable: false, configurable: false })
    }
  }

  return {
    createRequire: (from) => files.requireIn(placeOf(from)),
    required: () => {
      const now = asked
      asked = undefined
      return now
    }
  }
}
