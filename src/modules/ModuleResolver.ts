/**
 * Which file a module means by a specifier: Node's algorithms for `import` and `require`. Not Node's own code, because
 * that reads every package.json on its way, whatever it is and wherever it leads; here the policy judges each path
 * before it is looked at.
 */
import { statSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { ModuleRequest } from "../wire/modules.ts"
import { contains, realOf } from "../paths.ts"
import type { Conditions } from "./conditions.ts"
import { authorEntry, authorFile, miss, type ModulePolicy, refuse } from "./ModulePolicy.ts"
import { exportOf, importOf } from "./packageTargets.ts"

export interface ResolvedFile {
  /** Its real path. */
  readonly file: string
  readonly url: string
}

const namePart = /^(?:@[^/]+\/)?[^/@.][^/]*/

/** What Node takes for a path rather than the name of a package. */
const isRelative = (specifier: string): boolean => /^(?:\.{0,2}\/|\.{1,2}$)/.test(specifier)

/** Where a path or URL leads, before the disk is asked; `undefined` for names. `require` knows no URLs. */
const targetOf = (specifier: string, from: string, require: boolean): URL | undefined => {
  if (require) {
    if (!isRelative(specifier)) return undefined
    const file = path.resolve(path.dirname(from), specifier)
    return pathToFileURL(/(?:^|\/)\.{0,2}$/.test(specifier) ? file + path.sep : file)
  }
  return (isRelative(specifier) ? new URL(specifier, pathToFileURL(from)) : URL.parse(specifier)) ?? undefined
}

/** What `require` adds to a name, and what Node adds to a package's `main`. */
const endings = [".js", ".json", ".node"]
const mainEndings = [...endings, ...endings.map((ending) => `/index${ending}`)]

/** What authors leave out, or write as it will be called once it is compiled. */
const forgotten = [
  ".ts",
  ".mts",
  ".js",
  ".mjs",
  ".cts",
  ".cjs",
  ".json",
  "/index.ts",
  "/index.js",
  "/index.mjs"
]

type Found = "file" | "folder" | undefined

export class ModuleResolver {
  readonly #policy: ModulePolicy
  readonly #conditions: Conditions

  constructor(policy: ModulePolicy, conditions: Conditions) {
    this.#policy = policy
    this.#conditions = conditions
  }

  /** The real path and URL of what a module asks for; throws a `LoadProblem`. */
  resolve({ specifier, parent, require }: ModuleRequest): ResolvedFile {
    if (specifier === authorEntry) return { file: authorFile, url: pathToFileURL(authorFile).href }
    // The guest itself asks for the entry; everything after is asked for by the plugin's own modules.
    if (specifier === this.#policy.entryUrl) return this.#found(specifier, this.#policy.entry, "")
    if (!parent.startsWith("file:")) refuse(specifier, "only a module with a file may import it")
    // By what it really is: a link must not lend its place to what it leads to.
    const from = realOf(fileURLToPath(parent))
    if (!this.#policy.admits(from)) refuse(specifier, `${fileURLToPath(parent)} is not the plugin's`)

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
    return this.#found(specifier, this.#named(specifier, from, require), "")
  }

  /** The file that a name stands for: of a package, or mapped by the plugin's own package.json. */
  #named(specifier: string, from: string, require: boolean): string {
    return specifier.startsWith("#")
      ? this.#mapped(specifier, from, require)
      : this.#inPackage(specifier, specifier, from, require)
  }

  /** The package.json that a name starting with `#` is looked up in must be the plugin's. */
  #mapped(specifier: string, from: string, require: boolean): string {
    const manifest = this.#policy.manifests.above(from)
    if (manifest === undefined || !this.#policy.admits(realOf(manifest.file))) {
      return refuse(specifier, 'no package.json in the plugin\'s folder says what it stands for ("imports")')
    }
    const target = importOf(manifest, specifier, this.#conditionsOf(require))
    return target.startsWith("./")
      ? this.#imported(specifier, path.join(manifest.folder, target))
      : this.#inPackage(specifier, target, manifest.file, require)
  }

  /** `name` is what is looked for, `specifier` what was asked. */
  #inPackage(specifier: string, name: string, from: string, require: boolean): string {
    const packageName = namePart.exec(name)?.[0]
    // Nothing may lead out of the package, and white space would be dropped before it is looked at.
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
      if (path.basename(folder) !== "node_modules" && statOf(candidate) === "folder") {
        const real = this.#policy.admitPackage(specifier, packageName, candidate)
        return this.#ofPackage(specifier, real, subpath, require)
      }
      if (folder === path.dirname(folder)) break
    }
    return miss(
      specifier,
      `Cannot find module '${packageName}' in any node_modules from ${path.dirname(from)} up; run \`npm install ${packageName}\` in ${own?.folder ?? path.dirname(from)}`
    )
  }

  /** A file of a package whose real folder is known; whatever its package.json says, it stays in there. */
  #ofPackage(specifier: string, folder: string, subpath: string, require: boolean): string {
    const manifest = this.#policy.manifests.of(folder)
    if (manifest !== undefined && (manifest.exports ?? null) !== null) {
      const target = exportOf(manifest, subpath, this.#conditionsOf(require))
      return this.#stay(specifier, folder, this.#imported(specifier, path.join(folder, target)))
    }
    const file = path.join(folder, subpath)
    if (subpath !== ".") {
      return this.#stay(
        specifier,
        folder,
        require ? this.#required(specifier, file) : this.#imported(specifier, file)
      )
    }
    const main = typeof manifest?.main === "string" ? path.join(folder, manifest.main) : undefined
    const tried = [
      ...(main === undefined ? [] : [main, ...mainEndings.map((ending) => main + ending)]),
      ...endings.map((ending) => path.join(folder, `index${ending}`))
    ]
    return (
      this.#firstFile(specifier, tried) ??
      refuse(
        specifier,
        `the package in ${folder} has no main module ("exports" or "main" in its package.json)`
      )
    )
  }

  #stay(specifier: string, folder: string, real: string): string {
    // A package within another is a root of its own, and is asked for by its own name.
    return contains(folder, real) ? real : refuse(specifier, "it leads outside its package")
  }

  /** As `import` takes a path: as it is. */
  #imported(specifier: string, file: string): string {
    const real = this.#policy.realOf(specifier, file)
    const found = statOf(real)
    if (found === "file") return real
    const hint = this.#hint(specifier, file)
    return miss(
      specifier,
      found === "folder"
        ? `${file} is a folder, and \`import\` takes none; ${hint ?? "name the file in it"}`
        : `there is no file ${file}${hint === undefined ? "" : `; ${hint}`}`
    )
  }

  /** As `require` takes a path: with endings of its own, and a folder for what its package.json or index says. */
  #required(specifier: string, file: string): string {
    const bare = file.endsWith(path.sep) ? [] : [file, ...endings.map((ending) => file + ending)]
    const direct = this.#firstFile(specifier, bare)
    if (direct !== undefined) return direct
    const folder = this.#policy.realOf(specifier, file)
    const main = statOf(folder) === "folder" ? this.#policy.manifests.of(folder)?.main : undefined
    const mainFile = typeof main === "string" ? path.resolve(folder, main) : undefined
    const tried = [
      ...(mainFile === undefined ? [] : [mainFile, ...mainEndings.map((ending) => mainFile + ending)]),
      ...endings.map((ending) => path.join(folder, `index${ending}`))
    ]
    const hint = this.#hint(specifier, file)
    return (
      this.#firstFile(specifier, tried) ??
      miss(specifier, `Cannot find module '${file}'${hint === undefined ? "" : `; ${hint}`}`)
    )
  }

  #firstFile(specifier: string, files: ReadonlyArray<string>): string | undefined {
    for (const file of files) {
      const real = this.#policy.realOf(specifier, file)
      if (statOf(real) === "file") return real
    }
    return undefined
  }

  /** What an author may have meant instead of a path that leads to no file. */
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

  #found(specifier: string, file: string, search: string): ResolvedFile {
    this.#policy.mustAdmit(specifier, file)
    const url = pathToFileURL(file)
    url.search = search
    return { file, url: url.href }
  }

  #conditionsOf(require: boolean): ReadonlySet<string> {
    return require ? this.#conditions.require : this.#conditions.import
  }
}

/** What is no folder counts as a file: whoever reads it says what it is. */
const statOf = (file: string): Found => {
  try {
    const stat = statSync(file, { throwIfNoEntry: false })
    return stat === undefined ? undefined : stat.isDirectory() ? "folder" : "file"
  } catch {
    // Below what is no folder, a link to itself, or out of reach.
    return undefined
  }
}
