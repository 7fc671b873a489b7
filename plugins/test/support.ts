/** Calls a shipped plugin as the runtime would: config through its schema, output through its kind's. */
import type {
  ConfigSchema,
  Extractor,
  Linkifier,
  PluginContext,
  StandardResult
} from "@agentlip/plugin-runtime/plugin"
import { assert } from "@effect/vitest"
import { Schema } from "effect"
import { defaultLimits } from "../../src/Plugin.ts"
import * as kinds from "../../src/PluginKinds.ts"

const decodeEnrichments = Schema.decodeUnknownSync(kinds.linkifier.output)
const decodeAttachments = Schema.decodeUnknownSync(kinds.extractor.output)

const messageOf = (content_raw: string): kinds.Message => ({
  id: "m1",
  content_raw,
  sender: "ann",
  topic_id: "t1",
  channel_id: "c1",
  created_at: "2026-01-01T00:00:00.000Z"
})

const context: PluginContext = { signal: new AbortController().signal, log: console, fetch }

export const validate = async <Config>(
  schema: ConfigSchema<Config> | undefined,
  config: unknown
): Promise<StandardResult<Config>> => {
  assert.isDefined(schema)
  return schema["~standard"].validate(config)
}

const accepted = async <Config>(
  schema: ConfigSchema<Config> | undefined,
  config: unknown
): Promise<Config> => {
  const result = await validate(schema, config)
  if (result.issues !== undefined) throw new Error(JSON.stringify(result.issues))
  return result.value
}

const assertWithinLimits = (output: ReadonlyArray<unknown>): void => {
  assert.isAtMost(output.length, defaultLimits.outputItems)
  assert.isAtMost(JSON.stringify(output).length, defaultLimits.outputLength)
}

/** What a linkifier finds: valid, within the limits, in order and apart from each other. */
export const enrich = async <Config>(
  plugin: Linkifier<Config>,
  text: string,
  config: unknown = {}
): Promise<ReadonlyArray<kinds.Enrichment>> => {
  const message = messageOf(text)
  const output = await plugin.enrich(
    { message, config: await accepted(plugin.configSchema, config) },
    context
  )
  assertWithinLimits(output)
  const enrichments = decodeEnrichments(output)
  assert.isUndefined(kinds.linkifier.check?.(enrichments, { message }))
  let end = 0
  for (const { span } of enrichments) {
    assert.isAtLeast(span.start, end)
    end = span.end
  }
  return enrichments
}

/** What an extractor attaches: valid and within the limits. */
export const extract = async <Config>(
  plugin: Extractor<Config>,
  text: string
): Promise<ReadonlyArray<kinds.Attachment>> => {
  const output = await plugin.extract(
    { message: messageOf(text), config: await accepted(plugin.configSchema, {}) },
    context
  )
  assertWithinLimits(output)
  return decodeAttachments(output)
}

/** The pieces of the text that were found. */
export const slices = (text: string, enrichments: ReadonlyArray<kinds.Enrichment>): ReadonlyArray<string> =>
  enrichments.map(({ span }) => text.slice(span.start, span.end))

/** `unit` over and over, up to `length` UTF-16 units. */
export const fill = (unit: string, length: number): string =>
  unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

export const kib = 1024
