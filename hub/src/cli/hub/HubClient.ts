/** Connects commands to the running hub of a workspace, and turns every failure into a `CommandError`. */
import { Effect, Layer, Redacted, Schema } from "effect"
import {
  FetchHttpClient,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  HttpClientResponse
} from "effect/http"
import { HttpApiClient, HttpApiMiddleware } from "effect/http-api"
import { Api, Authorization, HealthStatus } from "@agentlip/protocol"
import { isProof, newChallenge } from "../../workspace/Proof.ts"
import { CommandError } from "../CommandError.ts"
import { workspaceFolder } from "../flags/Globals.ts"
import { notRunning, readServerFile, type Server, urlOf } from "./ServerFile.ts"

const answersWithin = "30 seconds"
const healthWithin = "5 seconds"

/** The shape of every error response of the hub. */
const decodeRefusal = Schema.decodeUnknownEffect(
  Schema.Struct({
    error: Schema.String,
    code: Schema.String,
    details: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
  })
)

const remedies: { readonly [code: string]: string } = {
  INVALID_AUTH: "server.json belongs to another start of the hub; try again",
  VERSION_CONFLICT: "read the message again, then pass its current version"
}

const refusalOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<never, CommandError> =>
  response.json.pipe(
    Effect.flatMap(decodeRefusal),
    Effect.matchEffect({
      onFailure: () =>
        Effect.fail(
          new CommandError({
            reason: `The server that answered with status ${response.status} is not a hub`,
            code: "NOT_A_HUB"
          })
        ),
      onSuccess: ({ error, code, details }) => {
        const remedy = remedies[code]
        return Effect.fail(
          new CommandError({
            reason: remedy === undefined ? error : `${error}; ${remedy}`,
            code,
            ...(details === undefined ? {} : { details })
          })
        )
      }
    })
  )

/** Converts error responses and connection failures to `CommandError`. This is the only place that does so. */
const checked = (workspace: string) =>
  HttpClient.transformResponse(
    (answer: Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>) =>
      answer.pipe(
        Effect.mapError(() =>
          notRunning(workspace, "nothing answers where .agentlip/server.json says it is")
        ),
        Effect.flatMap((response) => (response.status < 400 ? Effect.succeed(response) : refusalOf(response)))
      )
  )

/** A hub never redirects. A redirect could send the request and its token elsewhere. */
const fetching = Layer.provide(
  FetchHttpClient.layer,
  Layer.succeed(FetchHttpClient.RequestInit, { redirect: "error" })
)

const clientOf = (workspace: string, server: Server) =>
  Effect.map(HttpClient.HttpClient, (client) =>
    client.pipe(HttpClient.mapRequest(HttpClientRequest.prependUrl(urlOf(server))), checked(workspace))
  ).pipe(Effect.provide(fetching))

/** Checks that the process on the port is the hub of `server.json`. It only sends a random challenge. */
const verify = Effect.fnUntraced(function* (workspace: string, server: Server) {
  const client = yield* clientOf(workspace, server)
  const challenge = newChallenge()
  const health = yield* client.get("/health", { urlParams: { challenge } }).pipe(
    Effect.flatMap(HttpClientResponse.schemaBodyJson(HealthStatus)),
    Effect.mapError(notUnderstood),
    Effect.timeoutOrElse({
      duration: healthWithin,
      orElse: () => Effect.fail(notRunning(workspace, `what is at ${urlOf(server)} does not answer`))
    })
  )
  const { instance_id, pid, proof } = health
  if (instance_id !== server.instance_id) {
    return yield* notRunning(workspace, "its .agentlip/server.json is stale, another hub has the port now")
  }
  const unproven = `What is at ${urlOf(server)} does not prove that it is the hub of ${workspace}, so it is told nothing`
  if (proof === undefined) {
    return yield* new CommandError({
      reason: `${unproven}. If it is a hub of an older agentlip, restart it; else start the hub again: agentlip up`,
      code: "NOT_THE_HUB"
    })
  }
  if (!isProof(Redacted.value(server.auth_token), { challenge, instance_id, pid }, proof)) {
    return yield* new CommandError({
      reason: `${unproven}: it does not have the token of .agentlip/server.json. Start the hub again: agentlip up`,
      code: "INVALID_AUTH"
    })
  }
  return health
})

const makeApi = (workspace: string, server: Server) => {
  const withToken = HttpClientRequest.bearerToken(Redacted.value(server.auth_token))
  return Effect.flatMap(clientOf(workspace, server), (client) =>
    HttpApiClient.makeWith(Api, { httpClient: HttpClient.mapRequest(client, withToken) })
  ).pipe(
    // Every request already has the token.
    Effect.provide(HttpApiMiddleware.layerClient(Authorization, ({ next, request }) => next(request)))
  )
}

type HubApi = Effect.Success<ReturnType<typeof makeApi>>

const notUnderstood = (error: unknown): CommandError =>
  error instanceof CommandError
    ? error
    : new CommandError({
        reason: `The hub sent an unexpected answer; it may have another version. ${String(error)}`,
        code: "PROTOCOL"
      })

export interface HubClient {
  readonly workspace: string
  readonly server: Server
  readonly health: HealthStatus
  /** Calls the hub. Every failure is a `CommandError` with its exit code. */
  readonly ask: <A, E>(question: (api: HubApi) => Effect.Effect<A, E>) => Effect.Effect<A, CommandError>
}

/** Connects to the hub of a folder, after checking that it is the hub of the folder's `server.json`. */
export const connectTo = Effect.fnUntraced(function* (workspace: string) {
  const server = yield* readServerFile(workspace)
  const health = yield* verify(workspace, server)
  const api = yield* makeApi(workspace, server)
  const ask: HubClient["ask"] = (question) =>
    question(api).pipe(
      Effect.mapError(notUnderstood),
      Effect.timeoutOrElse({
        duration: answersWithin,
        orElse: () =>
          Effect.fail(
            new CommandError({ reason: `The hub did not answer within ${answersWithin}`, code: "TIMEOUT" })
          )
      })
    )
  const client: HubClient = { workspace, server, health, ask }
  return client
})

/** Connects to the hub of the command's workspace. */
export const connect = Effect.flatMap(workspaceFolder, connectTo)
