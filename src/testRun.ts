/** Runs a plugin object in this process, for its author's tests: with the rules of a run, without an isolate. */
import { Effect } from "effect"
import type { Extractor, FetchInit, FetchResponse, Linkifier, Message, PluginLog } from "./author.ts"
import { ExecutionError, InvalidOutput, LoadError, type PluginError } from "./Errors.ts"
import { configOf } from "./guest/shared/configOf.ts"
import { describeThrown } from "./guest/shared/describe.ts"
import { written } from "./guest/shared/writeOutput.ts"
import { makeInputEncoder } from "./Input.ts"
import { makeOutputDecoder } from "./Output.ts"
import { makeSpec } from "./Plugin.ts"
import { type Attachment, type Enrichment, extractor, linkifier } from "./PluginKinds.ts"
import { joinInput } from "./wire/runInput.ts"

/** Options of `testRun`. */
export interface TestRunOptions {
  /** Fields of the message apart from its text. */
  readonly message?: Partial<Message>
  /** As in a config file; the plugin's `configSchema` checks it. Default: `{}`. */
  readonly config?: { readonly [key: string]: unknown }
  /** Default: rejects. */
  readonly fetch?: (input: string | URL, init?: FetchInit) => Promise<FetchResponse>
  /** Default: nothing is logged. */
  readonly log?: Partial<PluginLog>
  /** Default: never aborts. */
  readonly signal?: AbortSignal
}

const nothing = (): void => {}

const madeUp = (text: string): Message => ({
  id: "message-1",
  content_raw: text,
  sender: "me",
  topic_id: "topic-1",
  channel_id: "channel-1",
  created_at: "2026-01-01T00:00:00.000Z"
})

const noFetch = (): Promise<never> =>
  Promise.reject(new TypeError("testRun has no network; pass options.fetch"))

/** What both kinds of plugins have in common. Their own types say what their methods take. */
interface PluginObject {
  readonly name: string
  readonly enrich?: (input: never, context: never) => unknown
  readonly extract?: (input: never, context: never) => unknown
}

/**
 * Calls a plugin's method with a complete input and context, and resolves with its output, checked as the runtime checks
 * it. Rejects with the `PluginError` that a run would fail with: `INVALID_OUTPUT`, `EXECUTION_ERROR`, or `LOAD_ERROR` if
 * its `configSchema` refuses the config.
 *
 * **Gotchas**: nothing confines the plugin here. There are no grants, no timeout and no limit of memory, and `process.env`
 * is that of the test.
 *
 * @example
 * ```ts
 * const found = await testRun(
 *   { name: "shout", version: "1.0.0", enrich: () => [{ kind: "shout", span: { start: 0, end: 4 }, data: {} }] },
 *   "STOP it"
 * )
 * ```
 */
export function testRun<Config>(
  plugin: Linkifier<Config>,
  text: string,
  options?: TestRunOptions
): Promise<ReadonlyArray<Enrichment>>
export function testRun<Config>(
  plugin: Extractor<Config>,
  text: string,
  options?: TestRunOptions
): Promise<ReadonlyArray<Attachment>>
export function testRun(plugin: PluginObject, text: string, options: TestRunOptions = {}): Promise<unknown> {
  return Effect.runPromise(run(plugin, text, options))
}

const run = Effect.fnUntraced(function* (
  plugin: PluginObject,
  text: string,
  { message, config = {}, fetch = noFetch, log, signal = new AbortController().signal }: TestRunOptions
): Effect.fn.Return<unknown, PluginError> {
  const kind = plugin.enrich === undefined ? extractor : linkifier
  const spec = makeSpec({ name: plugin.name, kind, modulePath: "testRun", config })
  const failed = (thrown: unknown): ExecutionError =>
    new ExecutionError({ plugin: plugin.name, cause: JSON.parse(describeThrown(thrown)) })
  const input = { message: { ...madeUp(text), ...message } }
  const encoded: object = joinInput(yield* makeInputEncoder(spec)(input))
  const decodedConfig = yield* Effect.tryPromise({
    try: () => configOf(plugin, config),
    catch: (error) =>
      new LoadError({
        plugin: plugin.name,
        modulePath: "testRun",
        reason: error instanceof Error ? error.message : String(error)
      })
  })
  const context = {
    signal,
    fetch,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing, ...log }
  }
  const output: unknown = yield* Effect.tryPromise({
    // The plugin's own types say what it takes: this is where what was decoded becomes that.
    try: async () => {
      const given = { ...encoded, config: decodedConfig } as never
      return plugin.enrich === undefined
        ? plugin.extract?.(given, context as never)
        : plugin.enrich(given, context as never)
    },
    catch: failed
  })
  const { text: json, problem } = written(output, spec.limits.outputLength)
  if (problem !== undefined) return yield* new InvalidOutput({ plugin: plugin.name, issue: problem })
  return yield* makeOutputDecoder(spec)(input, String(json))
})
