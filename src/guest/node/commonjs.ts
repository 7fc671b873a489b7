/**
 * CommonJS modules in Node, run by the guest's own loader instead of Node's. Plugins never get one of Node's own
 * module objects.
 */
// Imported by namespace, so that a runtime without module hooks (Bun) can load this file.
import * as nodeModule from "node:module"
import { dirname } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import * as vm from "node:vm"
import { type CommonJs, makeCommonJs, type Resolved } from "../shared/commonjs.ts"
import { apply, startsWith } from "../shared/intrinsics.ts"
import { names } from "../shared/names.ts"
import { denied } from "./denied.ts"
import type { ModuleText } from "../shared/PreloadedModules.ts"

export interface CommonJsFiles {
  /** Resolves a specifier with the host's loader. */
  readonly find: (specifier: string, parent: string) => ModuleText
  readonly sourceOf: (url: string) => string
  /**
   * A built-in as plugins may have it; `undefined` if the specifier names none. Throws for a built-in that plugins
   * may not use.
   */
  readonly builtin: (specifier: string) => object | undefined
}

export interface NodeCommonJs {
  readonly createRequire: (from: unknown) => ReturnType<CommonJs["requireIn"]>
  /**
   * The module that `require` is loading with Node's loader because it is not CommonJS. The resolve hook takes it:
   * the second call returns `undefined`.
   */
  readonly required: () => Resolved | undefined
}

/** Members of Node's `Module` that change how modules load, or that read the disk without the host's loader. */
const closedMembers = names(`
  registerHooks register setSourceMapsSupport syncBuiltinESMExports findPackageJSON enableCompileCache
  flushCompileCache _stat _findPath _readPackage _initPaths _preloadModules
`)

type Load = (request: string, parent: unknown, isMain: boolean, options?: unknown) => unknown

/** Makes `import()` in a CommonJS module use the main loader, and so the guest's hooks. */
const dynamicImports = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER
const parameters = ["exports", "require", "module", "__filename", "__dirname"]

/** The URL of the module that `createRequire` is called for. */
const placeOf = (from: unknown): string => {
  if (from instanceof URL) return from.href
  if (typeof from === "string" && startsWith(from, "file:")) return from
  if (typeof from === "string" && startsWith(from, "/")) return pathToFileURL(from).href
  throw new TypeError("createRequire takes the absolute path or the file URL of a module")
}

export const installCommonJs = ({ find, sourceOf, builtin }: CommonJsFiles): NodeCommonJs => {
  const { Module } = nodeModule
  // Read by name: Node's types lack it.
  const original: Load = Reflect.get(Module, "_load")
  let asked: Resolved | undefined
  /** URLs by file, because Node requests a module by file. The map has no prototype that a plugin could patch. */
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

  // Node calls this with the file of an imported CommonJS module, after the hooks have returned its source.
  const load: Load = (request) => files.run(urls[request] ?? pathToFileURL(request).href)
  Object.defineProperty(Module, "_load", { value: load, writable: false, configurable: false })
  // A plugin that gets hold of Node's `Module` could otherwise add hooks that run before the guest's, or read the
  // disk.
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
