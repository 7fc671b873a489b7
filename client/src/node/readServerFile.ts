/** Reads `.agentlip/server.json` safely: it decides where messages and the token are sent. */
import { parseServerFile, type ServerFile } from "@agentlip/protocol/ServerFile"
import * as fs from "node:fs"
import * as path from "node:path"
import { HubError } from "../HubError.ts"
import { shellWord } from "./shellWord.ts"
import { requireTrusted, unsafe } from "./trust.ts"

// Windows lacks these flags.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants

/** Far more than a hub writes. */
const mostBytes = 64 * 1024

/** The error if no hub runs for the workspace. */
const notRunning = (workspace: string, why: string): HubError =>
  new HubError(`No hub runs on ${workspace}: ${why}`, {
    code: "HUB_NOT_RUNNING",
    remedy: `Start it: agentlip up --workspace ${shellWord(workspace)}`,
    status: 0
  })

const kindOf = (stats: fs.Stats): string => {
  if (stats.isDirectory()) return "a folder"
  if (stats.isFIFO()) return "a pipe"
  return stats.isSocket() ? "a socket" : "a device"
}

/** In another user's folder, even a file of this user's may be one that was put there by that user: a hard link. */
const requireTrustedFolders = (root: string): void => {
  for (const folder of [root, path.join(root, ".agentlip")]) {
    const stats = fs.lstatSync(folder, { throwIfNoEntry: false })
    if (stats !== undefined) requireTrusted(folder, stats, "its server.json is not used")
  }
}

/** Reads the file through one descriptor, so that it cannot change between the checks and the read. */
const textOf = (file: string, trust: boolean): string => {
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    const stats = fs.fstatSync(descriptor)
    if (!stats.isFile()) throw unsafe(file, `is ${kindOf(stats)}, not a file: move it away`)
    if (stats.size > mostBytes) throw unsafe(file, "is larger than a hub writes: move it away")
    if (!trust) requireTrusted(file, stats, "it is not used")
    return fs.readFileSync(descriptor, "utf8")
  } finally {
    fs.closeSync(descriptor)
  }
}

/**
 * Reads `server.json` of a workspace, whether or not its hub still runs.
 *
 * **Errors**: `HubError` with `HUB_NOT_RUNNING` if there is none or it is not a hub's; `UNSAFE_FILE` if it is a link, not
 * a regular file, or if it or its folder belongs to another user.
 */
export const readServerFile = (
  workspace: string,
  options: {
    /** Use files of other users too. Default: `false`. */
    readonly trust?: boolean
  } = {}
): ServerFile => {
  const root = path.resolve(workspace)
  const file = path.join(root, ".agentlip", "server.json")
  let text: string
  try {
    const { trust = false } = options
    if (!trust) requireTrustedFolders(root)
    text = textOf(file, trust)
  } catch (cause) {
    if (cause instanceof HubError) throw cause
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    if (code === "ENOENT" || code === "ENOTDIR") throw notRunning(root, "there is no .agentlip/server.json")
    if (code === "ELOOP" || code === "EMLINK") throw unsafe(file, "is a link, not a file: remove it")
    throw unsafe(file, `cannot be read: ${String(cause)}`)
  }
  const parsed = parseServerFile(text)
  if ("problem" in parsed) throw notRunning(root, `${file} ${parsed.problem}`)
  return parsed.server
}
