/** `agentlip msg show` */
import { printableLine } from "@agentlip/plugin-runtime/text"
import type { Attachment, Job, Enrichment, Message } from "@agentlip/protocol"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { messageArgument } from "../../flags/Names.ts"
import { connect, type HubClient } from "../../hub/HubClient.ts"
import { attachmentLine, enrichmentLine } from "../../render/Findings.ts"
import { show } from "../../render/Output.ts"
import { marked } from "../../render/underline.ts"

/** Rows per request when all pages are read. */
const pageSize = 1_000

const enrichmentsOf = Effect.fnUntraced(function* ({ ask }: HubClient, id: string) {
  const all: Array<Enrichment> = []
  while (true) {
    const query = { limit: pageSize, offset: all.length }
    const page = yield* ask((api) => api.reads.enrichments({ params: { id }, query }))
    all.push(...page.enrichments)
    if (!page.has_more) return all
  }
})

const attachmentsFrom = Effect.fnUntraced(function* ({ ask }: HubClient, { id, topic_id }: Message) {
  const all: Array<Attachment> = []
  let after_id: string | undefined
  while (true) {
    const query = { limit: pageSize, after_id }
    const page = yield* ask((api) => api.reads.attachments({ params: { id: topic_id }, query }))
    all.push(...page.attachments.filter(({ source_message_id }) => source_message_id === id))
    if (!page.has_more) return all
    after_id = page.attachments.at(-1)?.id
  }
})

const jobLine = ({ plugin_name, state, error }: Job): string =>
  printableLine(`${plugin_name}: ${state}${error === null ? "" : `, ${error.code}: ${error.message}`}`)

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : ["", title, ...lines.map((line) => `  ${line}`)]

const render = (found: {
  readonly message: Message
  readonly enrichments: ReadonlyArray<Enrichment>
  readonly attachments: ReadonlyArray<Attachment>
  readonly jobs: ReadonlyArray<Job>
}): ReadonlyArray<string> => {
  const { message, enrichments, attachments, jobs } = found
  const { sender, created_at, edited_at, deleted_by, version, content_raw } = message
  const spans = enrichments.map(({ span }) => span)
  const columns = process.stdout.columns || Number.POSITIVE_INFINITY
  const content = marked(content_raw, spans, Math.max(20, columns - 2))
  const changes = [
    ...(edited_at === null ? [] : [`edited ${edited_at}`]),
    ...(deleted_by === null ? [] : [`deleted by ${deleted_by}`])
  ]
  const findings = [
    ...enrichments.map((found) => enrichmentLine(found.plugin_name, found, content_raw)),
    ...attachments.map(attachmentLine)
  ]
  return [
    printableLine([`${sender}, ${created_at}, version ${version}`, ...changes].join(", ")),
    "",
    ...content.map((line) => `  ${line}`),
    ...section("Found", findings),
    ...section("Jobs", jobs.map(jobLine))
  ]
}

export const msgShow = Command.make(
  "show",
  { message: messageArgument },
  Effect.fnUntraced(function* ({ message: id }) {
    const hub = yield* connect
    const { message } = yield* hub.ask((api) => api.reads.message({ params: { id } }))
    const enrichments = yield* enrichmentsOf(hub, id)
    const attachments = yield* attachmentsFrom(hub, message)
    const { derivations: jobs } = yield* hub.ask((api) =>
      api.reads.derivations({ params: { id }, query: { limit: pageSize } })
    )
    const found = { message, enrichments, attachments, jobs }
    yield* show(found, () => render(found))
  })
).pipe(
  Command.withDescription("Show a message with what plugins found in it and the state of their jobs"),
  Command.withExamples([{ command: "agentlip msg show 019a3f2b7c4d00001" }])
)
