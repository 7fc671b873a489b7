/**
 * CommonJS in a guest: `require`, exports, and cycles between modules as in Node. A module's `module` and `require`
 * are plain objects made here: Node's own lead to its module loader, which reads the disk without the host's
 * permission.
 */
import { apply } from "./intrinsics.ts"

interface Module {
  readonly id: string
  readonly path: string
  readonly filename: string
  exports: unknown
  loaded: boolean
  readonly children: ReadonlyArray<Module>
  readonly paths: ReadonlyArray<string>
  readonly require: Require
}

export interface Resolved {
  readonly url: string
  readonly format: string
}

interface Require {
  (specifier: unknown): unknown
  readonly resolve: (specifier: unknown) => string
  readonly cache: { readonly [filename: string]: Module }
  readonly extensions: object
  readonly main: undefined
}

/** The functions of the guest that CommonJS needs. */
export interface Files {
  /** Resolves a specifier in the module with the URL `parent`. Throws if there is no such module. */
  readonly resolve: (specifier: string, parent: string) => Resolved
  /** The value that `require` returns for a module that is not CommonJS. */
  readonly other: (found: Resolved, specifier: string) => unknown
  /** A module's code, as a function of `exports`, `require`, `module`, `__filename` and `__dirname`. */
  readonly compile: (url: string) => unknown
  readonly fileOf: (url: string) => string
  readonly folderOf: (file: string) => string
}

export interface CommonJs {
  /** Makes the `require` function of the module with this URL. */
  readonly requireIn: (parent: string) => Require
  /** Runs a module the first time; returns its exports. */
  readonly run: (url: string) => unknown
}

const { assign, create } = Object

/** Adds the code by which callers of Node's `require` recognize a missing module. */
export const moduleNotFound = (error: Error): Error => assign(error, { code: "MODULE_NOT_FOUND" })

export const makeCommonJs = ({ resolve, other, compile, fileOf, folderOf }: Files): CommonJs => {
  /** Modules by file. The map has no prototype that a plugin could patch. */
  const cache: { [filename: string]: Module } = create(null)
  const extensions: object = create(null)

  const requireIn = (parent: string): Require => {
    const find = (specifier: unknown): Resolved => resolve(`${specifier}`, parent)
    return assign(
      (specifier: unknown): unknown => {
        const found = find(specifier)
        return found.format === "commonjs" ? run(found.url) : other(found, `${specifier}`)
      },
      { resolve: (specifier: unknown) => fileOf(find(specifier).url), cache, extensions, main: undefined }
    )
  }

  const run = (url: string): unknown => {
    const filename = fileOf(url)
    const known = cache[filename]
    if (known !== undefined) return known.exports
    const exports = {}
    const path = folderOf(filename)
    const require = requireIn(url)
    const module: Module = {
      id: filename,
      path,
      filename,
      exports,
      loaded: false,
      children: [],
      paths: [],
      require
    }
    cache[filename] = module
    try {
      const code = compile(url)
      if (typeof code === "function") apply(code, exports, [exports, require, module, filename, path])
    } catch (error) {
      delete cache[filename]
      throw error
    }
    module.loaded = true
    return module.exports
  }

  return { requireIn, run }
}
