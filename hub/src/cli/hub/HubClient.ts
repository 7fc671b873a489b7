/** Connects commands to the running hub of a workspace, and turns every failure into a `CommandError`. */
import { HubError, make } from "@agentlip/client/Effect"
import { readServerFile as readFile, workspaceAddress } from "@agentlip/client/Node"
import {
  type ErrorBody,
  errors,
  type HealthStatus,
  type LiveEvent,
  type ServerFile
} from "@agentlip/protocol"
import { Effect, Stream } from "effect"
import { commandFor } from "../calledAs.ts"
import { CommandError } from "../CommandError.ts"
import { Trust, workspaceFolder } from "../flags/Globals.ts"

const answersWithin = "30 seconds"

const remedies: { readonly [code: string]: string } = {
  INVALID_AUTH: "server.json belongs to another start of the hub; try again",
  VERSION_CONFLICT: "read the message again, then pass its current version"
}

const isRefusal = (error: unknown): error is ErrorBody =>
  typeof error === "object" && error !== null && "code" in error && Object.hasOwn(errors, String(error.code))

const withRemedy = (reason: string, code: string): string => {
  const remedy = remedies[code]
  return remedy === undefined ? reason : `${reason}; ${remedy}`
}

/** The code of a command's error. To a command, a hub that does not respond is one that does not run. */
const codeOf = ({ code, details }: HubError): string => {
  if (code === "UNREACHABLE") return "HUB_NOT_RUNNING"
  return code === "NOT_THE_HUB" && details?.["proof"] === "wrong" ? "INVALID_AUTH" : code
}

/** The client's remedies do not know how this command was called, so it has its own. */
const reasonOf = (error: HubError, code: string, workspace: string): string => {
  const up = commandFor(workspace, "up")
  switch (error.code) {
    case "UNREACHABLE":
      return `No hub runs on ${workspace}: nothing answers where .agentlip/server.json says it is. Start it: ${up}`
    case "HUB_NOT_RUNNING":
      return `${error.problem}. Start this workspace's hub: ${up}`
    case "NOT_THE_HUB":
      return `${error.problem}. Stop the hub of this workspace if it runs, then start it: ${up}`
    default:
      return withRemedy(error.message, code)
  }
}

const fromHubError = (error: HubError, workspace: string): CommandError => {
  const code = codeOf(error)
  const reason = reasonOf(error, code, workspace)
  // Details come from JSON, or are the client's own.
  const details = error.details as CommandError["details"]
  return new CommandError({ reason, code, ...(details === undefined ? {} : { details }) })
}

export const toCommandError =
  (workspace: string) =>
  (error: unknown): CommandError => {
    if (error instanceof HubError) return fromHubError(error, workspace)
    if (isRefusal(error)) {
      const { error: text, code, details } = error
      return new CommandError({
        reason: withRemedy(text, code),
        code,
        ...(details === undefined ? {} : { details })
      })
    }
    return new CommandError({
      reason: `The hub sent an unexpected answer; it may have another version. ${String(error)}`,
      code: "PROTOCOL"
    })
  }

type Client = Effect.Success<ReturnType<typeof make>>

export interface HubClient {
  readonly workspace: string
  /** The hub's base URL when the command connected. */
  readonly url: string
  readonly health: Effect.Effect<HealthStatus, CommandError>
  /** Calls the hub. Every failure is a `CommandError` with its exit code. */
  readonly ask: <A, E>(
    question: (api: Client["api"]) => Effect.Effect<A, E>
  ) => Effect.Effect<A, CommandError>
  /** Live events. The stream does not end by itself, and fails if the hub has another database after a restart. */
  readonly follow: (options: Parameters<Client["follow"]>[0]) => Stream.Stream<LiveEvent, CommandError>
}

/** Reads the workspace's `server.json`, whether or not its hub still runs. */
export const readServerFile = Effect.fnUntraced(function* (workspace: string) {
  const trust = yield* Trust
  return yield* Effect.try({
    try: (): ServerFile => readFile(workspace, { trust }),
    catch: toCommandError(workspace)
  })
})

/** Connects to the hub of a folder, after checking that it is the hub of the folder's `server.json`. */
export const connectTo = Effect.fnUntraced(function* (workspace: string) {
  const trust = yield* Trust
  const toError = toCommandError(workspace)
  const { api, address, follow } = yield* make(workspaceAddress({ workspace, trust }))
  const { url } = yield* Effect.mapError(address, toError)
  const ask: HubClient["ask"] = (question) =>
    question(api).pipe(
      Effect.mapError(toError),
      Effect.timeoutOrElse({
        duration: answersWithin,
        orElse: () =>
          Effect.fail(
            new CommandError({ reason: `The hub did not answer within ${answersWithin}`, code: "TIMEOUT" })
          )
      })
    )
  const client: HubClient = {
    workspace,
    url,
    ask,
    health: ask((api) => api.health.health({ query: {} })),
    follow: (options) => Stream.mapError(follow(options), toError)
  }
  return client
})

/** Connects to the hub of the command's workspace. */
export const connect = Effect.flatMap(workspaceFolder, connectTo)
