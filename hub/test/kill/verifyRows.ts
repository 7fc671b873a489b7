/** The rows against what the log tells and what the plugins are to find. */
import { isDeepStrictEqual } from "node:util"
import type { Json } from "../testHub.ts"
import type { Database } from "./Database.ts"
import type { Ledger } from "./Ledger.ts"
import { expectedEnrichments, numberOf, type Told } from "./verifyLog.ts"

type Violations = ReadonlyArray<string>

const differences = (what: string, found: ReadonlyArray<Json>, expected: ReadonlyArray<Json>): Violations => {
  const there = new Map<string, number>()
  for (const row of found) there.set(JSON.stringify(row), (there.get(JSON.stringify(row)) ?? 0) + 1)
  const violations: Array<string> = []
  for (const row of expected) {
    const text = JSON.stringify(row)
    const count = there.get(text) ?? 0
    if (count === 0) violations.push(`${what}: ${text} is missing`)
    else there.set(text, count - 1)
  }
  for (const [text, count] of there) {
    if (count > 0) violations.push(`${what}: ${text} is there ${count} times more than it should be`)
  }
  return violations
}

/** Every message whose post was acknowledged is there as it was last acknowledged, or as something sent later. */
export const verifyAcknowledged = (ledger: Ledger, { messages }: Database): Violations => {
  const rows = new Map(messages.map((message) => [message.id, message]))
  const newest = new Map<
    string,
    { readonly number: number; readonly deleted: boolean; readonly content: string }
  >()
  for (const { number, outcome } of ledger.operations) {
    if (typeof outcome !== "object") continue
    const { message, deleted, content } = outcome.acknowledged
    if ((newest.get(message)?.number ?? -1) < number) newest.set(message, { number, deleted, content })
  }
  return [...newest].flatMap(([id, { number, deleted, content }]) => {
    const row = rows.get(id)
    if (row === undefined) return [`message ${id} was acknowledged and is gone`]
    if (deleted) return row.deleted_at === null ? [`message ${id} was deleted and is back`] : []
    const last = numberOf(row.deleted_at === null ? row.content_raw : row.deleted_by)
    if (last === number && row.content_raw === content) return []
    return last > number ? [] : [`message ${id} is as of operation ${last}; ${number} was acknowledged`]
  })
}

export const verifyMessages = (told: ReadonlyMap<string, Told>, { messages }: Database): Violations =>
  differences(
    "messages",
    messages.map((row) => [
      row.id,
      row.topic_id,
      row.content_raw,
      row.version,
      row.content_version,
      row.deleted_at !== null
    ]),
    [...told].map(([id, { topic, content, version, content_version, deleted }]) => [
      id,
      topic,
      content,
      version,
      content_version,
      deleted
    ])
  )

export const verifyDerived = (told: ReadonlyMap<string, Told>, database: Database): Violations => {
  const live = [...told].filter(([, { deleted }]) => !deleted)
  const facts = new Map<string, Json>()
  const sources: Array<Json> = []
  for (const [id, { topic, text }] of live) {
    for (const tag of text.tags) {
      facts.set(`${topic} ${tag}`, [topic, "tag", tag, { tag }])
      sources.push([topic, tag, id, "tags"])
    }
  }
  const attachments = new Map(database.attachments.map((row) => [row.id, row]))
  const added = database.events.filter(({ name }) => name === "topic.attachment_added")
  return [
    ...differences(
      "enrichments",
      database.enrichments.map((row) => [
        row.message_id,
        row.plugin_name,
        {
          kind: row.kind,
          span: { start: row.span_start, end: row.span_end },
          data: JSON.parse(row.data_json)
        }
      ]),
      live.flatMap(([id, { text }]) => expectedEnrichments(text).map((found) => [id, "shouts", found]))
    ),
    ...differences(
      "attachments",
      database.attachments.map((row) => [row.topic_id, row.kind, row.key, JSON.parse(row.value_json)]),
      [...facts.values()]
    ),
    ...differences(
      "attachment_sources",
      database.sources.map((row) => {
        const attachment = attachments.get(row.attachment_id)
        return [attachment?.topic_id, attachment?.key, row.message_id, row.plugin_name]
      }),
      sources
    ),
    ...database.attachments
      .filter(({ id }) => added.filter(({ entity_id }) => entity_id === id).length !== 1)
      .map(({ id }) => `attachment ${id} has not exactly one event`),
    ...(new Set(added.map(({ entity_id }) => entity_id)).size === added.length
      ? []
      : ["an attachment was added twice"])
  ]
}

/** Each plugin has ended once with each content; with the newest one, by what there is to find in it. */
export const verifyJobs = (told: ReadonlyMap<string, Told>, database: Database): Violations => {
  const ends = new Map<string, Array<Json>>()
  for (const job of database.derivations) {
    const key = `${job.message_id}/${job.content_version}/${job.plugin_name}`
    ends.set(key, [...(ends.get(key) ?? []), job])
  }
  const violations = database.outbox.map(
    ({ message_id }) => `the jobs of message ${message_id} are still to be made`
  )
  for (const [id, { text, content_version, deleted, enriched }] of told) {
    for (let version = 1; version <= content_version; version++) {
      for (const [plugin, found] of [
        ["shouts", text.shouts.length],
        ["tags", text.tags.length]
      ]) {
        const key = `${id}/${version}/${plugin}`
        const jobs = ends.get(key) ?? []
        const wanted =
          version < content_version || deleted
            ? ["committed", "empty", "stale"]
            : [found === 0 ? "empty" : "committed"]
        if (!(jobs.length === 1 && wanted.includes(jobs[0].state))) {
          const ended = jobs.map(({ state, attempts, error_json }) => `${state} ${attempts} ${error_json}`)
          violations.push(
            `job ${key} ended [${ended}] (state, attempts, error), not as ${wanted.join(" or ")}`
          )
        }
      }
    }
    const announced = text.shouts.length > 0 ? ["shouts"] : []
    if (!deleted && !isDeepStrictEqual([...enriched], announced)) {
      violations.push(`message ${id}: [${[...enriched]}] told of its newest content, not [${announced}]`)
    }
  }
  return violations
}

export const verifyFile = ({ integrity, foreignKeys }: Database): Violations => [
  ...integrity
    .filter((row) => row.integrity_check !== "ok")
    .map((row) => `integrity: ${row.integrity_check}`),
  ...foreignKeys.map((row) => `foreign key: ${JSON.stringify(row)}`)
]
