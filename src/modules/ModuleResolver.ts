/**
 * Finds the file for a specifier, by Node's algorithms for `import` and `require`. Node's own code would read every
 * package.json on the way, wherever it is; here the policy checks each path before it is accessed.
 */
import { statSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { ModuleRequest } from "../wire/modules.ts"
import { contains, realOf } from "../paths.ts"
import type { Conditions } from "./conditions.ts"
import { LoadProblem } from "./LoadProblem.ts"
import { authorEntry, authorFile, miss, type ModulePolicy, refuse } from "./ModulePolicy.ts"
import { exportOf, importOf } from "./packageTargets.ts"

export interface ResolvedFile {
  /** The real path. */
  readonly file: string
  readonly url: string
}

const namePart = /^(?:@[^/]+\/)?[^/@.][^/]*/

/** Whether Node treats a specifier as a path and not as a package name. */
const isRelative = (specifier: string): boolean => /^(?:\.{0,2}\/|\.{1,2}$)/.test(specifier)

/** The URL of a path or URL, without accessing the disk; `undefined` for names. `require` does not support URLs. */
const targetOf = (specifier: string, from: string, require: boolean): URL | undefined => {
  if (require) {
    if (!isRelative(specifier)) return undefined
    const file = path.resolve(path.dirname(from), specifier)
    return pathToFileURL(/(?:^|\/)\.{0,2}$/.test(specifier) ? file + path.sep : file)
  }
  return (isRelative(specifier) ? new URL(specifier, pathToFileURL(from)) : URL.parse(specifier)) ?? undefined
}

/** The endings that `require` tries for a file, and that Node tries for a package's `main`. */
const endings = [".js", ".json", ".node"]
const mainEndings = ["", ...endings, ...endings.map((ending) => `/index${ending}`)]

/** The files that may be the main module of a folder, in order. */
const mainFiles = (folder: string, main: unknown): ReadonlyArray<string> => [
  ...(typeof main === "string" ? mainEndings.map((ending) => path.join(folder, main) + ending) : []),
  ...endings.map((ending) => path.join(folder, `index${ending}`))
]

/** Endings for hints: authors omit them, or write the name of the compiled file. */
const forgotten = ".ts .mts .js .mjs .cts .cjs .json /index.ts /index.js /index.mjs".split(" ")

type Found = "file" | "folder" | undefined

/** A name, and the real path of the file that asks for it. */
interface Asked {
  readonly specifier: string
  readonly from: string
  readonly require: boolean
}

export class ModuleResolver {
  readonly #policy: ModulePolicy
  readonly #conditions: Conditions

  constructor(policy: ModulePolicy, conditions: Conditions) {
    this.#policy = policy
    this.#conditions = conditions
  }

  /** The real path and URL of the module that `parent` requests. Throws a `LoadProblem`. */
  resolve({ specifier, parent, require }: ModuleRequest): ResolvedFile {
    if (specifier === authorEntry) {
      this.#policy.searched?.add(authorFile)
      return { file: authorFile, url: pathToFileURL(authorFile).href }
    }
    // Only the guest itself requests the entry; the plugin's modules make all other requests.
    if (specifier === this.#policy.entryUrl) return this.#found(specifier, this.#policy.entry, "")
    if (!parent.startsWith("file:")) refuse(specifier, "only a module with a file may import it")
    // Use the real path, so that a link cannot load modules in the name of its target's place.
    const importer = fileURLToPath(parent)
    this.#policy.searched?.add(importer)
    const from = realOf(importer)
    if (!this.#policy.admits(from)) refuse(specifier, `${importer} is not the plugin's`)

    const target = targetOf(specifier, from, require)
    if (target !== undefined && target.protocol !== "file:") {
      refuse(specifier, `plugins load modules from files, not from ${target.protocol}`)
    }
    if (target !== undefined) {
      if (/%2f|%5c/i.test(target.pathname)) refuse(specifier, "a path may not hold an encoded slash")
      const file = fileURLToPath(target)
      const real = require ? this.#required(specifier, file) : this.#imported(specifier, file)
      return this.#found(specifier, real, target.search)
    }
    const asked = { specifier, from, require }
    const file = specifier.startsWith("#") ? this.#mapped(asked) : this.#inPackage(asked, specifier)
    return this.#found(specifier, file, "")
  }

  /** Resolves a name that starts with `#`. The package.json that defines it must belong to the plugin. */
  #mapped({ specifier, from, require }: Asked): string {
    const manifest = this.#policy.manifests.above(from)
    if (manifest === undefined || !this.#policy.admits(realOf(manifest.file))) {
      return refuse(specifier, 'no package.json in the plugin\'s folder says what it stands for ("imports")')
    }
    const target = importOf(manifest, specifier, this.#conditionsOf(require))
    return target.startsWith("./")
      ? this.#imported(specifier, path.join(manifest.folder, target))
      : this.#inPackage({ specifier, from: manifest.file, require }, target)
  }

  /** Resolves the name of a package's module. */
  #inPackage({ specifier, from, require }: Asked, name: string): string {
    const packageName = namePart.exec(name)?.[0]
    // Reject names that lead out of the package, and white space, which would be dropped from the path later.
    if (packageName === undefined || /[%\\\s\p{Cc}]|(^|\/)\.{1,2}(\/|$)/u.test(name)) {
      return refuse(name, "it is neither a path nor the name of a package")
    }
    const subpath = `.${name.slice(packageName.length)}`
    const own = this.#policy.manifests.above(from)
    if (own !== undefined && own.name === packageName && (own.exports ?? null) !== null) {
      return this.#imported(
        specifier,
        path.join(own.folder, exportOf(own, subpath, this.#conditionsOf(require)))
      )
    }
    for (let folder = path.dirname(from); ; folder = path.dirname(folder)) {
      const candidate = path.join(folder, "node_modules", packageName)
      if (path.basename(folder) !== "node_modules" && this.#statOf(candidate) === "folder") {
        const real = this.#policy.admitPackage(specifier, packageName, candidate)
        return this.#stay(specifier, real, this.#ofPackage({ specifier, from: real, require }, subpath))
      }
      if (folder === path.dirname(folder)) break
    }
    return miss(
      specifier,
      `Cannot find module '${packageName}' in any node_modules from ${path.dirname(from)} up; run \`npm install ${packageName}\` in ${own?.folder ?? path.dirname(from)}`
    )
  }

  /** A file of the package in the folder `from`. */
  #ofPackage({ specifier, from: folder, require }: Asked, subpath: string): string {
    const manifest = this.#policy.manifests.of(folder)
    if (manifest !== undefined && (manifest.exports ?? null) !== null) {
      const target = exportOf(manifest, subpath, this.#conditionsOf(require))
      return this.#imported(specifier, path.join(folder, target))
    }
    const file = path.join(folder, subpath)
    if (subpath !== ".") {
      return require ? this.#required(specifier, file) : this.#imported(specifier, file)
    }
    const found = this.#firstFile(specifier, mainFiles(folder, manifest?.main))
    if (found !== undefined) return found
    throw new LoadProblem(
      `Cannot load "${specifier}": the package in ${folder} has no main module ("exports" or "main" in its package.json).`,
      { ofPackage: true }
    )
  }

  /** A file that a package.json names must be inside its package. */
  #stay(specifier: string, folder: string, real: string): string {
    // A nested package has its own root and its own name.
    return contains(folder, real) ? real : refuse(specifier, "it leads outside its package")
  }

  /** Resolves a path as `import` does: exactly as given. */
  #imported(specifier: string, file: string): string {
    const real = this.#policy.realOf(specifier, file)
    const found = this.#statOf(real)
    if (found === "file") return real
    const hint = this.#hint(specifier, file)
    return miss(
      specifier,
      found === "folder"
        ? `${file} is a folder, and \`import\` takes none; ${hint ?? "name the file in it"}`
        : `there is no file ${file}${hint === undefined ? "" : `; ${hint}`}`
    )
  }

  /** Resolves a path as `require` does: tries endings, and for a folder its package.json and index. */
  #required(specifier: string, file: string): string {
    const direct = file.endsWith(path.sep) ? [] : ["", ...endings].map((ending) => file + ending)
    const found = this.#firstFile(specifier, direct)
    if (found !== undefined) return found
    const folder = this.#policy.realOf(specifier, file)
    const main = this.#statOf(folder) === "folder" ? this.#policy.manifests.of(folder)?.main : undefined
    const hint = this.#hint(specifier, file)
    return (
      this.#firstFile(specifier, mainFiles(folder, main)) ??
      miss(specifier, `Cannot find module '${file}'${hint === undefined ? "" : `; ${hint}`}`)
    )
  }

  #firstFile(specifier: string, files: ReadonlyArray<string>): string | undefined {
    for (const file of files) {
      const real = this.#policy.realOf(specifier, file)
      if (this.#statOf(real) === "file") return real
    }
    return undefined
  }

  /** The file that an author may have meant by a path that leads to no file. */
  #hint(specifier: string, file: string): string | undefined {
    const trimmed = file.endsWith(path.sep) ? file.slice(0, -1) : file
    const ending = /\.[cm]?jsx?$/.exec(trimmed)?.[0] ?? ""
    const stems = ending === "" ? [""] : ["", ending]
    for (const stem of stems) {
      const base = trimmed.slice(0, trimmed.length - stem.length)
      for (const add of forgotten) {
        const real = realOf(base + add)
        if (!this.#policy.admits(real) || statOf(real) !== "file") continue
        const said = specifier.replace(/\/$/, "")
        return `did you mean "${said.slice(0, said.length - stem.length)}${add}"?`
      }
    }
    return undefined
  }

  #statOf(file: string): Found {
    this.#policy.searched?.add(file)
    return statOf(file)
  }

  #found(specifier: string, file: string, search: string): ResolvedFile {
    this.#policy.mustAdmit(specifier, file)
    this.#policy.searched?.add(file)
    const url = pathToFileURL(file)
    url.search = search
    return { file, url: url.href }
  }

  #conditionsOf(require: boolean): ReadonlySet<string> {
    return require ? this.#conditions.require : this.#conditions.import
  }
}

/** Everything that is not a folder counts as a file; the reader checks its type. */
const statOf = (file: string): Found => {
  try {
    const stat = statSync(file, { throwIfNoEntry: false })
    return stat === undefined ? undefined : stat.isDirectory() ? "folder" : "file"
  } catch {
    // The parent is not a folder, or it is a link loop, or access is denied.
    return undefined
  }
}
