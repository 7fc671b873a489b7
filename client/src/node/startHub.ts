/** Starts a hub in the background, and waits until it is ready. */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { HubError } from "../HubError.ts"

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
const workspaceLocked = 10

const pause = 50
/** If another starter won the race and its hub is gone again, the next start waits this long. */
const pauseBeforeRestart = 1_000

/** Above this size the log of earlier starts is dropped. */
const mostLogged = 1024 * 1024

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

const commandIn = (workspace: string): readonly [string, ...ReadonlyArray<string>] => {
  try {
    const manifest = createRequire(path.join(workspace, "package.json")).resolve("@agentlip/hub/package.json")
    return [process.execPath, path.join(path.dirname(manifest), "bin", "agentlip.js")]
  } catch {
    // The workspace has not installed it.
    return ["agentlip"]
  }
}

/** Opens the log of hubs that run in the background. Follows no link. */
const openLog = (workspace: string) => {
  const folder = path.join(workspace, ".agentlip")
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = path.join(folder, "up.log")
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0 } = fs.constants
  const descriptor = fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
  if (fs.fstatSync(descriptor).size > mostLogged) fs.ftruncateSync(descriptor)
  const { size } = fs.fstatSync(descriptor)
  /** The end of what was logged since. */
  const newest = (): string => fs.readFileSync(file).subarray(size).toString().trim().slice(-2_000)
  return { file, descriptor, newest }
}

const notStarted = (workspace: string, why: string, cause?: unknown): HubError =>
  new HubError(`The hub of ${workspace} did not start: ${why}`, { code: "NOT_STARTED", status: 0, cause })

/** A process that was started, and how it ended. */
interface Started {
  readonly process: ChildProcess
  readonly at: number
  readonly newest: () => string
  readonly file: string
  failed: Error | undefined
}

const start = (workspace: string, { command = commandIn(workspace), args = [] }: StartOptions): Started => {
  const { file, descriptor, newest } = openLog(workspace)
  const [program, ...first] = command
  try {
    const child = spawn(program, [...first, "up", "--workspace", workspace, ...args], {
      cwd: workspace,
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

/** Throws if the process has ended in another way than because another hub holds the workspace. */
const requireAlive = (workspace: string, { process: child, failed, newest, file }: Started): void => {
  if (failed !== undefined) {
    const missing = "code" in failed && failed.code === "ENOENT"
    const remedy = missing ? ". Install it: npm install @agentlip/hub, or pass startIfMissing.command" : ""
    throw notStarted(workspace, `${child.spawnfile} cannot be run: ${failed.message}${remedy}`, failed)
  }
  const { exitCode, signalCode } = child
  if ((exitCode === null && signalCode === null) || exitCode === workspaceLocked) return
  throw notStarted(
    workspace,
    `it ended with ${signalCode ?? `exit code ${exitCode}`}. ${file} ends with:\n${newest()}`
  )
}

/**
 * Starts a hub unless `isReady`, and returns when it is ready. If several programs start one at once, one hub wins, and
 * all of them use it.
 *
 * **Errors**: `HubError` with `NOT_STARTED`.
 */
export const startHub = async (
  workspace: string,
  isReady: () => Promise<boolean>,
  options: StartOptions = {}
): Promise<void> => {
  const { timeout = 30_000 } = options
  const deadline = Date.now() + timeout
  let started: Started | undefined
  while (!(await isReady())) {
    if (started !== undefined) requireAlive(workspace, started)
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
