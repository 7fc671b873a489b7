/**
 * The module for plugin authors, `@agentlip/plugin-runtime/plugin`. It depends on nothing, not even Effect. The helpers
 * return their argument unchanged: they are there for TypeScript's checks.
 */

/** The message that a plugin runs on. Spans count UTF-16 code units of `content_raw`. */
export interface Message {
  readonly id: string
  readonly content_raw: string
  readonly sender: string
  readonly topic_id: string
  readonly channel_id: string
  /** ISO 8601, UTC. */
  readonly created_at: string
}

/** The input of a plugin's method. `config` is the operator's config, or what `configSchema` made of it. */
export interface PluginInput<Config = Record<string, unknown>> {
  readonly message: Message
  readonly config: Config
}

/** A plugin's log. Lines go to the hub's log with the plugin's name, limited per run. `console` writes to it too. */
export interface PluginLog {
  readonly debug: (...args: ReadonlyArray<unknown>) => void
  readonly info: (...args: ReadonlyArray<unknown>) => void
  readonly warn: (...args: ReadonlyArray<unknown>) => void
  readonly error: (...args: ReadonlyArray<unknown>) => void
}

/** The options of `fetch`: the part of the Web's that works on every isolation level. */
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
  /** Default `"follow"`. The target is checked against the grants too. */
  readonly redirect?: "follow" | "error" | "manual"
}

/** The response of `fetch`. */
export interface FetchResponse {
  readonly status: number
  readonly statusText: string
  /** Whether the status is 200 to 299. */
  readonly ok: boolean
  /** The URL after all redirects. */
  readonly url: string
  readonly redirected: boolean
  readonly headers: {
    readonly get: (name: string) => string | null
    readonly has: (name: string) => boolean
    readonly [Symbol.iterator]: () => Iterator<[name: string, value: string]>
  }
  readonly body: AsyncIterable<Uint8Array> | null
  readonly text: () => Promise<string>
  /** Rejects if the body is not JSON. */
  readonly json: () => Promise<unknown>
  readonly arrayBuffer: () => Promise<ArrayBuffer>
}

/** The second argument of a plugin's method. */
export interface PluginContext {
  /**
   * Aborted when the run must stop (deadline or interruption), if the operator has set a `grace`. The isolate is killed
   * after that time. Without `grace` it is killed at once, and the signal never aborts.
   */
  readonly signal: AbortSignal
  readonly log: PluginLog
  /** The W3C trace context of this run, if the hub traces. Send it as the header `traceparent`. */
  readonly traceparent?: string
  /**
   * The Web's `fetch`, for hosts that the operator granted (`grants.net`). Rejects for all others with a message that
   * names the grant. The global `fetch` is the same function. Requests end with the run.
   */
  readonly fetch: (input: string | URL, init?: FetchInit) => Promise<FetchResponse>
}

/** The grants that a plugin needs. The hub does not load the plugin if the operator has granted less. */
export interface Capabilities {
  /** Folders and files that it reads. Relative paths start at the hub's workspace. */
  readonly read?: ReadonlyArray<string>
  readonly write?: ReadonlyArray<string>
  /** Hosts that it connects to: `"api.example.com"` (port 443), `"example.com:8080"`, `"*.example.com"`. */
  readonly net?: ReadonlyArray<string>
  /** Environment variables that it reads. */
  readonly env?: ReadonlyArray<string>
}

/** Any JSON value. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** A span of the message, and data about it. */
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

/** The result of a Standard Schema's `validate`. */
export type StandardResult<Config> =
  | { readonly value: Config; readonly issues?: undefined }
  | {
      readonly issues: ReadonlyArray<{
        readonly message: string
        readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
      }>
    }

/** What plugins of all kinds have. */
export interface PluginDefinition<Config = Record<string, unknown>> {
  readonly name: string
  readonly version: string
  /** Checks (and may transform) the operator's `config` before the first run. An invalid config is a `LOAD_ERROR`. */
  readonly configSchema?: ConfigSchema<Config>
  /** The grants that it needs. If one is missing, loading fails with a `LOAD_ERROR` that lists them. Default: none. */
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
