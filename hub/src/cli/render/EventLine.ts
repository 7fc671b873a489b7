/** Formats an event as one line for people. */
import { printableLine } from "@agentlip/plugin-runtime/text"
import { AgentlipEvent, type EventName, knownEvent, type LiveEvent } from "@agentlip/protocol"
import { counted } from "./counted.ts"
import { attachmentLine, enrichmentLine } from "./Findings.ts"

const sayings: { readonly [Name in EventName]: (event: AgentlipEvent<Name>) => string } = {
  "channel.created": ({ data: { channel } }) =>
    `new channel${channel.description === null ? "" : `: ${channel.description}`}`,
  "topic.created": () => "new topic",
  "topic.renamed": ({ data: { old_title, new_title } }) => `renamed from "${old_title}" to "${new_title}"`,
  "message.created": ({ data: { message } }) => `${message.sender}: ${message.content_raw}`,
  "message.edited": ({ data: { message_id, new_content } }) => `edited ${message_id}: ${new_content}`,
  "message.deleted": ({ data: { message_id, deleted_by } }) => `${deleted_by} deleted ${message_id}`,
  "message.moved_topic": ({ data: { message_id } }) => `moved ${message_id}`,
  "topic.attachment_added": ({ data: { attachment } }) => attachmentLine(attachment),
  "message.enriched": ({ data: { message_id, plugin_name, enrichments } }) =>
    `found in ${message_id}: ${enrichments.map((found) => enrichmentLine(plugin_name, found)).join("; ")}`,
  "plugin.failed": ({ data: { plugin_name, message_id, code, message } }) =>
    `${plugin_name} failed on ${message_id}: ${code}: ${message}`,
  "plugin.stale": ({ data: { plugin_name, message_id } }) =>
    `${plugin_name}: findings discarded, ${message_id} has changed`,
  "plugin.circuit_opened": ({ data: { plugin_name, failures, retry_after_ms } }) =>
    `${plugin_name} paused after ${counted(failures, "failure")} in a row; next try in ${Math.round(retry_after_ms / 1_000)} s`,
  "plugin.circuit_closed": ({ data: { plugin_name } }) => `${plugin_name} runs again`,
  "message.erased": ({ data: { message_id, erased_by, events } }) =>
    `${erased_by} erased ${message_id}; ${counted(events, "event")} had its text`,
  "events.pruned": ({ data: { after, pruned_until } }) =>
    `events ${after + 1} to ${pruned_until} were pruned and are missing here`
}

/** For example `3  2026-01-01T10:00:00.000Z  general/hello  ada: hi`: number, time, topic, and what happened. */
export const eventLine = (event: LiveEvent, topic: string): string => {
  const known = knownEvent(event)
  const what =
    known === undefined ? `${event.name} ${JSON.stringify(event.data)}` : AgentlipEvent.match(known, sayings)
  return printableLine([event.event_id, event.ts, topic, what].filter((part) => part !== "").join("  "))
}
