/** The calls of a hub, typed by the protocol's `Api`. */
import type { Api } from "@agentlip/protocol"
import type { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import type { routes } from "./routes.ts"

type Endpoints =
  typeof Api extends HttpApi.HttpApi<string, infer Groups> ? HttpApiGroup.Endpoints<Groups> : never

type Named<Name extends string> = HttpApiEndpoint.WithIdentifier<Endpoints, Name>

type Part<Key extends string, Value> = [Value] extends [never] ? unknown : { readonly [Each in Key]: Value }
type OptionalPart<Key extends string, Value> = [Value] extends [never]
  ? unknown
  : Partial<Value> extends Value
    ? { readonly [Each in Key]?: Value }
    : { readonly [Each in Key]: Value }

/** The name of a call. */
export type CallName = keyof typeof routes

/** The arguments of a call: `params` of its path, `query`, `payload`. */
export type RequestOf<Name extends CallName> = Part<"params", HttpApiEndpoint.Params<Named<Name>>["Type"]> &
  OptionalPart<"query", HttpApiEndpoint.Query<Named<Name>>["Type"]> &
  Part<"payload", HttpApiEndpoint.Payload<Named<Name>>["Type"]>

/** The result of a call. */
export type AnswerOf<Name extends CallName> = HttpApiEndpoint.Success<Named<Name>>["Type"]

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Sent as `Idempotency-Key`: a write that is repeated with the same key takes effect once. */
  readonly idempotencyKey?: string
}

type Call<Name extends CallName> =
  {} extends RequestOf<Name>
    ? (request?: RequestOf<Name>, options?: CallOptions) => Promise<AnswerOf<Name>>
    : (request: RequestOf<Name>, options?: CallOptions) => Promise<AnswerOf<Name>>

/** One function for each call of the HTTP API. Rejects with a `HubError`. */
export type Calls = { readonly [Name in CallName]: Call<Name> }
