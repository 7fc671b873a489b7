/** `agentlip msg show` */
import { printableLine } from "@agentlip/plugin-runtime/text"
import type { Attachment, Job, Enrichment, Message } from "@agentlip/protocol"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { messageArgument } from "../../flags/Names.ts"
import { readFlags } from "../../flags/ReadFlags.ts"
import { attachmentsOf, enrichmentsOf } from "../../hub/findings.ts"
import { reader } from "../../hub/reader.ts"
import { attachmentLine, enrichmentLine } from "../../render/Findings.ts"
import { show } from "../../render/Output.ts"
import { marked } from "../../render/underline.ts"

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
  { message: messageArgument, ...readFlags },
  Effect.fnUntraced(function* ({ message: id, ...options }) {
    const hub = yield* reader(options)
    const { message } = yield* hub.ask((api) => api.reads.message({ params: { id } }))
    const enrichments = yield* enrichmentsOf(hub, id)
    const attachments = (yield* attachmentsOf(hub, message.topic_id)).filter(
      ({ source_message_id }) => source_message_id === id
    )
    const { derivations: jobs } = yield* hub.ask((api) =>
      api.reads.derivations({ params: { id }, query: { limit: 1_000 } })
    )
    const found = { message, enrichments, attachments, jobs }
    yield* show(found, () => render(found))
  })
).pipe(
  Command.withDescription("Show a message with what plugins found in it and the state of their jobs"),
  Command.withExamples([{ command: "agentlip msg show 019a3f2b7c4d00001" }])
)
