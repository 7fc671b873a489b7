/**
 * What a plugin's author imports, as `@agentlip/plugin-runtime/plugin`. Depends on nothing, not even
 * Effect: the helpers return what they are given, so that TypeScript checks it.
 */

/** The message a plugin is asked about. `content_raw` is what spans count in, in UTF-16 code units. */
export interface Message {
  readonly id: string
  readonly content_raw: string
  readonly sender: string
  readonly topic_id: string
  readonly channel_id: string
  /** ISO 8601, UTC. */
  readonly created_at: string
}

/** What a plugin's method is called with; `config` is what the operator wrote, or what `configSchema` made of it. */
export interface PluginInput<Config = Record<string, unknown>> {
  readonly message: Message
  readonly config: Config
}

/** A plugin's log: lines in the hub's own, with the plugin's name; capped per run. `console` goes there too. */
export interface PluginLog {
  readonly debug: (...args: ReadonlyArray<unknown>) => void
  readonly info: (...args: ReadonlyArray<unknown>) => void
  readonly warn: (...args: ReadonlyArray<unknown>) => void
  readonly error: (...args: ReadonlyArray<unknown>) => void
}

/** What `fetch` may be told; the part of the Web's that the runtime has on every isolation level. */
export interface FetchInit {
  /** Default `GET`. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>> | Array<[name: string, value: string]>
  readonly body?:
    | string
    | ArrayBuffer
    | Uint8Array<ArrayBuffer>
    | URLSearchParams
    | AsyncIterable<Uint8Array>
    | null
  readonly signal?: AbortSignal | null
  /** Default `"follow"`; where it leads is checked against the grants anew. */
  readonly redirect?: "follow" | "error" | "manual"
}

/** What `fetch` answers. */
export interface FetchResponse {
  readonly status: number
  readonly statusText: string
  /** Whether the status is 200 to 299. */
  readonly ok: boolean
  /** Where redirects have led to. */
  readonly url: string
  readonly redirected: boolean
  readonly headers: {
    readonly get: (name: string) => string | null
    readonly has: (name: string) => boolean
    readonly [Symbol.iterator]: () => Iterator<[name: string, value: string]>
  }
  readonly body: AsyncIterable<Uint8Array> | null
  readonly text: () => Promise<string>
  /** Rejects what is not JSON. */
  readonly json: () => Promise<unknown>
  readonly arrayBuffer: () => Promise<ArrayBuffer>
}

/** The second argument of a plugin's method. */
export interface PluginContext {
  /**
   * Aborted when the run is to stop (deadline or interruption), if the operator gave the plugin a `grace`; the
   * isolate is killed when that is over. Without one it is killed at once and nothing aborts.
   */
  readonly signal: AbortSignal
  readonly log: PluginLog
  /** Where the hub traces: the W3C trace context of this run, to send along as the header `traceparent`. */
  readonly traceparent?: string
  /**
   * The Web's `fetch`, to hosts that the operator granted (`grants.net`); rejects for all others, with a message
   * that names the grant. The global `fetch` is the same. Requests end with the run.
   */
  readonly fetch: (input: string | URL, init?: FetchInit) => Promise<FetchResponse>
}

/** What a plugin needs to be granted. The hub refuses to load it where the operator has granted less. */
export interface Capabilities {
  /** Folders and files it reads; relative paths are taken from the hub's workspace. */
  readonly read?: ReadonlyArray<string>
  readonly write?: ReadonlyArray<string>
  /** Hosts it talks to: `"api.example.com"` (port 443), `"example.com:8080"`, `"*.example.com"`. */
  readonly net?: ReadonlyArray<string>
  /** Environment variables it looks at. */
  readonly env?: ReadonlyArray<string>
}

/** Any JSON value. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** A span of the message and what is known of it. */
export interface Enrichment {
  /** What it is (`"url"`, `"mention"`); not blank. */
  readonly kind: string
  /** `0 ≤ start < end ≤ content_raw.length`, in UTF-16 code units; `end` is exclusive. */
  readonly span: { readonly start: number; readonly end: number }
  readonly data: { readonly [key: string]: Json }
}

/** A fact attached to the message's topic. */
export interface Attachment {
  /** What it is; not blank. */
  readonly kind: string
  readonly key?: string
  /** The fact; at most 16 KiB as JSON. */
  readonly value_json: { readonly [key: string]: Json }
  /** A topic holds one attachment per (kind, key, dedupe_key). Default: the JSON of `value_json`. */
  readonly dedupe_key?: string
}

/** The part of the Standard Schema interface (standardschema.dev) that the runtime calls. */
export interface ConfigSchema<Config> {
  readonly "~standard": {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Config> | Promise<StandardResult<Config>>
    readonly types?: { readonly input: unknown; readonly output: Config } | undefined
  }
}

/** What a Standard Schema's `validate` answers. */
export type StandardResult<Config> =
  | { readonly value: Config; readonly issues?: undefined }
  | {
      readonly issues: ReadonlyArray<{
        readonly message: string
        readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
      }>
    }

/** What every plugin has, whatever its kind. */
export interface PluginDefinition<Config = Record<string, unknown>> {
  readonly name: string
  readonly version: string
  /** Checks (and may transform) the operator's `config` before the first run; a refusal is a `LOAD_ERROR`. */
  readonly configSchema?: ConfigSchema<Config>
  /** What it needs to be granted; missing grants are a `LOAD_ERROR` that lists them. Default: nothing. */
  readonly capabilities?: Capabilities
}

/** A plugin that finds spans in a message. */
export interface Linkifier<Config = Record<string, unknown>> extends PluginDefinition<Config> {
  readonly enrich: (
    input: PluginInput<Config>,
    context: PluginContext
  ) => ReadonlyArray<Enrichment> | Promise<ReadonlyArray<Enrichment>>
}

/** A plugin that attaches facts to a message's topic. */
export interface Extractor<Config = Record<string, unknown>> extends PluginDefinition<Config> {
  readonly extract: (
    input: PluginInput<Config>,
    context: PluginContext
  ) => ReadonlyArray<Attachment> | Promise<ReadonlyArray<Attachment>>
}

/**
 * Types a linkifier.
 *
 * @example
 * ```ts
 * import { linkifier } from "@agentlip/plugin-runtime/plugin"
 *
 * export default linkifier({
 *   name: "shout",
 *   version: "1.0.0",
 *   enrich: ({ message }) =>
 *     [...message.content_raw.matchAll(/[A-Z]{3,}/g)].map((match) => ({
 *       kind: "shout",
 *       span: { start: match.index, end: match.index + match[0].length },
 *       data: { text: match[0] }
 *     }))
 * })
 * ```
 */
export const linkifier = <Config = Record<string, unknown>>(plugin: Linkifier<Config>): Linkifier<Config> =>
  plugin

/** Types an extractor; see `linkifier` for the shape of an example. */
export const extractor = <Config = Record<string, unknown>>(plugin: Extractor<Config>): Extractor<Config> =>
  plugin

/**
 * Types a plugin of a hub's own kind.
 *
 * @example
 * ```ts
 * import { definePlugin, type PluginInput } from "@agentlip/plugin-runtime/plugin"
 *
 * export default definePlugin({
 *   name: "length",
 *   version: "1.0.0",
 *   score: ({ message }: PluginInput) => ({ score: message.content_raw.length })
 * })
 * ```
 */
export const definePlugin = <const Definition extends PluginDefinition>(plugin: Definition): Definition =>
  plugin
