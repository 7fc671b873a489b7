/** Reads package.json files, each once and with a limit on size, because plugins and packages provide them. */
import { statSync } from "node:fs"
import * as path from "node:path"
import { positionOf } from "./importPlace.ts"
import { LoadProblem, messageOf } from "./LoadProblem.ts"
import { readPlain } from "./plainFiles.ts"
import type { SearchedPaths } from "./SearchedPaths.ts"

export interface Manifest {
  readonly file: string
  readonly folder: string
  readonly name: unknown
  readonly main: unknown
  readonly type: unknown
  readonly exports: unknown
  readonly imports: unknown
}

/** The most bytes of a package.json. */
const maxBytes = 1024 * 1024

const isThere = (file: string): boolean => statSync(file, { throwIfNoEntry: false }) !== undefined

const textOf = (file: string): string => {
  try {
    return readPlain(file, maxBytes).bytes.toString("utf8")
  } catch (error) {
    throw new LoadProblem(messageOf(error), { ofPackage: true })
  }
}

/** Where a parser stopped. Not every engine says. */
const offsetIn = (text: string, error: unknown): number | undefined => {
  const message = messageOf(error)
  const position = /position (\d+)/.exec(message)?.[1]
  if (position !== undefined) return Number(position)
  return message.includes("end of JSON") ? text.length : undefined
}

const parse = (file: string, text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    const offset = offsetIn(text, error)
    // Without its lines: the file may lie outside the plugin's folder, and the plugin can read the message.
    const place = offset === undefined ? {} : { place: { file, ...positionOf(text, offset), frame: "" } }
    throw new LoadProblem(`${file} is not valid JSON; correct it.`, { ...place, ofPackage: true })
  }
}

const read = (folder: string): Manifest | undefined => {
  const file = path.join(folder, "package.json")
  if (!isThere(file)) return undefined
  const json = parse(file, textOf(file))
  const field = (name: string): unknown =>
    typeof json === "object" && json !== null && Object.hasOwn(json, name)
      ? Reflect.get(json, name)
      : undefined
  return {
    file,
    folder,
    name: field("name"),
    main: field("main"),
    type: field("type"),
    exports: field("exports"),
    imports: field("imports")
  }
}

/** A cache of package.json files. Each stays as it was at the first read. */
export class Manifests {
  readonly #searched: SearchedPaths | undefined
  readonly #byFolder = new Map<string, Manifest | undefined>()

  constructor(searched?: SearchedPaths) {
    this.#searched = searched
  }

  /** The package.json of a folder. Throws a `LoadProblem` if it cannot be read. */
  of(folder: string): Manifest | undefined {
    if (this.#byFolder.has(folder)) return this.#byFolder.get(folder)
    this.#searched?.add(path.join(folder, "package.json"))
    const manifest = read(folder)
    this.#byFolder.set(folder, manifest)
    return manifest
  }

  /** The package.json that a file belongs to, by Node's rules: the nearest above it, up to a `node_modules`. */
  above(file: string): Manifest | undefined {
    for (
      let folder = path.dirname(file);
      path.basename(folder) !== "node_modules";
      folder = path.dirname(folder)
    ) {
      const manifest = this.of(folder)
      if (manifest !== undefined) return manifest
      if (folder === path.dirname(folder)) break
    }
    return undefined
  }
}
