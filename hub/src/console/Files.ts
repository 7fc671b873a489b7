/** The files of the console's page, in memory. They are built by the package in `console/`. */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

export interface ConsoleFile {
  readonly bytes: Uint8Array
  readonly gzip: Uint8Array
  readonly contentType: string
  readonly etag: string
}

const contentTypes: { readonly [extension: string]: string } = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml"
}

/** Where the files are: beside the bundle or one of its chunks, or in the sources. */
const places = ["./console/", "../console/", "../../../console/dist/"]

const folderOf = (): string | undefined =>
  places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((folder) => fs.existsSync(path.join(folder, "index.html")))

const read = (file: string): ConsoleFile => {
  const bytes = fs.readFileSync(file)
  return {
    bytes,
    gzip: gzipSync(bytes, { level: 9 }),
    contentType: contentTypes[path.extname(file)] ?? "application/octet-stream",
    etag: `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`
  }
}

let files: ReadonlyMap<string, ConsoleFile> | undefined

/** Each file by its name. Empty if the console was not built. Read at the first use, so that hubs start as fast. */
export const consoleFiles = (): ReadonlyMap<string, ConsoleFile> => {
  if (files !== undefined && files.size > 0) return files
  const folder = folderOf()
  files = new Map(
    folder === undefined ? [] : fs.readdirSync(folder).map((name) => [name, read(path.join(folder, name))])
  )
  return files
}
