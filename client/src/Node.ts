/** For programs on Node and Bun: finds the hub of a workspace, or starts it. Does not load Effect. */
import { urlOf } from "@agentlip/protocol/ServerFile"
import * as path from "node:path"
import type { HubAddress } from "./connection.ts"
import { type HubClient, type HubClientOptions, makeHubClient } from "./HubClient.ts"
import { HubError } from "./HubError.ts"
import { findWorkspace } from "./node/findWorkspace.ts"
import { readServerFile } from "./node/readServerFile.ts"
import { logFileOf, startHub as start, type StartOptions } from "./node/startHub.ts"

export type { ServerFile } from "@agentlip/protocol/ServerFile"
export { findWorkspace, type SearchBounds } from "./node/findWorkspace.ts"
export { readServerFile } from "./node/readServerFile.ts"
export type { StartOptions } from "./node/startHub.ts"
export * from "./index.ts"

export interface WorkspaceOptions {
  /** The folder that holds `.agentlip/`. Default: the nearest one, from the working directory upwards. */
  readonly workspace?: string
  /** Use a `server.json` of another user too. Default: `false`. */
  readonly trust?: boolean
}

export interface ConnectOptions extends WorkspaceOptions, HubClientOptions {
  /**
   * Start the hub if none runs: `agentlip up` in the background, which goes on after this program. Its log is
   * `.agentlip/up.log`. Default: `false`, so that a missing hub is an error.
   */
  readonly startIfMissing?: boolean | StartOptions
}

const workspaceOf = ({ workspace }: WorkspaceOptions): string =>
  path.resolve(workspace ?? findWorkspace(process.cwd()) ?? ".")

/** The address in a workspace's `server.json`, as it is now. For `makeHubClient` and the Effect face. */
export const workspaceAddress =
  (options: WorkspaceOptions = {}): (() => HubAddress) =>
  () => {
    const server = readServerFile(workspaceOf(options), options)
    return { url: urlOf(server), token: server.auth_token, instance_id: server.instance_id }
  }

/** A missing hub, as opposed to one that must not be used. */
const isMissing = (error: unknown): boolean =>
  error instanceof HubError && ["HUB_NOT_RUNNING", "UNREACHABLE", "NOT_THE_HUB"].includes(error.code)

/**
 * Connects to the hub of a workspace, and checks that it is that hub.
 *
 * **Errors**: `HubError`: `HUB_NOT_RUNNING` or `UNREACHABLE` if no hub runs, `NOT_THE_HUB` if another server has its port,
 * `NOT_STARTED` if `startIfMissing` could not start it.
 *
 * @example
 * ```ts
 * const hub = await connect({ startIfMissing: true })
 * for await (const event of hub.follow({ after: 0 })) console.log(event.name)
 * ```
 */
export const connect = async (options: ConnectOptions = {}): Promise<HubClient> => {
  const workspace = workspaceOf(options)
  const hub = makeHubClient(workspaceAddress({ ...options, workspace }), options)
  const isReady = (): Promise<boolean> =>
    hub.address().then(
      () => true,
      (error: unknown) => {
        if (isMissing(error)) return false
        throw error
      }
    )
  const { startIfMissing = false, trust = false } = options
  if (startIfMissing === false) await hub.address()
  else {
    const given = startIfMissing === true ? {} : startIfMissing
    await start(workspace, isReady, { ...given, trust, whenLocked: "wait" })
  }
  return hub
}

/** A hub that runs in the background. */
export interface StartedHub {
  /** Its address, without the token. */
  readonly url: string
  readonly pid: number
  /** The file with its output. */
  readonly log: string
}

/**
 * Starts the hub of a workspace in the background, and returns when it is ready. It goes on after this program.
 *
 * **Errors**: `HubError` with `NOT_STARTED`. Its `details.exit_code` is 10 if another hub holds the workspace.
 *
 * @example
 * ```ts
 * const { url, log } = await startHub({ workspace: ".", args: ["--idle-shutdown", "10m"] })
 * ```
 */
export const startHub = async (options: WorkspaceOptions & StartOptions = {}): Promise<StartedHub> => {
  const workspace = workspaceOf(options)
  const { trust = false } = options
  const address = workspaceAddress({ workspace, trust })
  const isReady = async (pid: number | undefined): Promise<boolean> => {
    try {
      if (pid === undefined || readServerFile(workspace, { trust }).pid !== pid) return false
      await makeHubClient(address).address()
      return true
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }
  await start(workspace, isReady, { ...options, whenLocked: "fail" })
  const server = readServerFile(workspace, { trust })
  return { url: urlOf(server), pid: server.pid, log: logFileOf(workspace) }
}
