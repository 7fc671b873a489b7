/** Starts a hub in the background, and waits until it is ready. */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { HubError } from "../HubError.ts"
import { requireTrusted, unsafe } from "./trust.ts"

export interface StartOptions {
  /**
   * The program that runs a hub, with its first arguments. Default: `@agentlip/hub` as the workspace has it installed,
   * or `agentlip` on the PATH.
   */
  readonly command?: readonly [program: string, ...args: ReadonlyArray<string>]
  /** More arguments for `agentlip up`, such as `["--port", "4000"]`. Default: none. */
  readonly args?: ReadonlyArray<string>
  /** How long the hub may take until it is ready, in milliseconds. Default: 30,000. */
  readonly timeout?: number
}

/** `agentlip up` exits with this code if another hub holds the workspace. */
export const workspaceLocked = 10

/** Tells a hub the file that its output goes to, so that it keeps the file short. */
const logVariable = "AGENTLIP_OUTPUT"

const pause = 50
/** If another starter won the race and its hub is gone again, the next start waits this long. */
const pauseBeforeRestart = 1_000

/** Above this size the log of earlier starts is dropped. */
const mostLogged = 1024 * 1024

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const installedIn = (workspace: string): string | undefined => {
  try {
    return createRequire(path.join(workspace, "package.json")).resolve("@agentlip/hub/package.json")
  } catch {
    // The workspace has not installed it.
    return undefined
  }
}

/** Node looks for packages in every folder above, and those of other users must not run as this user. */
const commandIn = (workspace: string, trust: boolean): readonly [string, ...ReadonlyArray<string>] => {
  const manifest = installedIn(workspace)
  if (manifest === undefined) return ["agentlip"]
  const program = path.join(path.dirname(manifest), "bin", "agentlip.js")
  if (!trust) {
    for (const file of [path.dirname(manifest), manifest, program]) {
      const stats = fs.statSync(file, { throwIfNoEntry: false })
      if (stats !== undefined) requireTrusted(file, stats, "it is not run. Pass startIfMissing.command")
    }
  }
  return [process.execPath, program]
}

/** The log of hubs that run in the background. */
export const logFileOf = (workspace: string): string => path.join(workspace, ".agentlip", "up.log")

/** Opens the log. Follows no link. */
const openLog = (workspace: string) => {
  const file = logFileOf(workspace)
  const folder = path.dirname(file)
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!fs.lstatSync(folder).isDirectory()) throw unsafe(folder, "is a link, not a folder: remove it")
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0 } = fs.constants
  const descriptor = fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
  if (fs.fstatSync(descriptor).size > mostLogged) fs.ftruncateSync(descriptor)
  const { size } = fs.fstatSync(descriptor)
  /** The end of what was logged since. */
  const newest = (): string => fs.readFileSync(file).subarray(size).toString().trim().slice(-2_000)
  return { file, descriptor, newest }
}

const notStarted = (
  workspace: string,
  why: string,
  more: { readonly cause?: unknown; readonly details?: { readonly exit_code: number | null } } = {}
): HubError =>
  new HubError(`The hub of ${workspace} did not start: ${why}`, { code: "NOT_STARTED", status: 0, ...more })

/** A process that was started, and how it ended. */
interface Started {
  readonly process: ChildProcess
  readonly at: number
  readonly newest: () => string
  readonly file: string
  failed: Error | undefined
}

const start = (workspace: string, { command, args = [], trust = false }: BackgroundOptions): Started => {
  const [program, ...first] = command ?? commandIn(workspace, trust)
  const { file, descriptor, newest } = openLog(workspace)
  try {
    const trusting = trust ? ["--trust"] : []
    const child = spawn(program, [...first, "up", "--workspace", workspace, ...trusting, ...args], {
      cwd: workspace,
      env: { ...process.env, [logVariable]: file },
      detached: true,
      stdio: ["ignore", descriptor, descriptor],
      windowsHide: true
    })
    const started: Started = { process: child, at: Date.now(), newest, file, failed: undefined }
    child.on("error", (error) => (started.failed = error))
    // The hub outlives this program.
    child.unref()
    return started
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Throws if the process has ended, unless another hub holds the workspace and will be used. */
const requireAlive = (
  workspace: string,
  { process: child, failed, newest, file }: Started,
  whenLocked: BackgroundOptions["whenLocked"]
): void => {
  if (failed !== undefined) {
    const missing = "code" in failed && failed.code === "ENOENT"
    const remedy = missing ? ". Install it: npm install @agentlip/hub, or pass startIfMissing.command" : ""
    throw notStarted(workspace, `${child.spawnfile} cannot be run: ${failed.message}${remedy}`, {
      cause: failed
    })
  }
  const { exitCode, signalCode } = child
  if (exitCode === null && signalCode === null) return
  if (exitCode === workspaceLocked && whenLocked === "wait") return
  throw notStarted(
    workspace,
    `it ended with ${signalCode ?? `exit code ${exitCode}`}. ${file} ends with:\n${newest()}`,
    { details: { exit_code: exitCode } }
  )
}

export interface BackgroundOptions extends StartOptions {
  /** Use files of other users too. Default: `false`. */
  readonly trust?: boolean
  /** If another hub holds the workspace: use it when it is ready, or fail. */
  readonly whenLocked: "wait" | "fail"
}

/**
 * Starts a hub unless `isReady`, and returns when it is ready. If several programs start one at once, one hub wins, and
 * all of them use it, or the others fail.
 *
 * **Errors**: `HubError` with `NOT_STARTED`.
 */
export const startHub = async (
  workspace: string,
  isReady: (pid: number | undefined) => Promise<boolean>,
  options: BackgroundOptions
): Promise<void> => {
  const { timeout = 30_000 } = options
  const deadline = Date.now() + timeout
  let started: Started | undefined
  while (!(await isReady(started?.process.pid))) {
    if (started !== undefined) requireAlive(workspace, started, options.whenLocked)
    if (Date.now() >= deadline) {
      // Without this it could become ready later, after the caller has given up.
      started?.process.kill("SIGKILL")
      throw notStarted(workspace, `it was not ready after ${timeout} ms`)
    }
    const lost = started?.process.exitCode === workspaceLocked
    if (started === undefined || (lost && Date.now() - started.at > pauseBeforeRestart)) {
      started = start(workspace, options)
    }
    await sleep(pause)
  }
}
