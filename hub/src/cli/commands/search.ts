/** `agentlip search` */
import { type SearchIndex, SearchIn, type SearchResult } from "@agentlip/protocol"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Json } from "../flags/Globals.ts"
import { channelFlag, channelOf, topicIdOf } from "../flags/Names.ts"
import { limitFlag } from "../flags/Page.ts"
import { readFlags } from "../flags/ReadFlags.ts"
import type { HubReader } from "../hub/HubReader.ts"
import { reader } from "../hub/reader.ts"
import { show } from "../render/Output.ts"
import type { SearchQuery } from "../../search/search.ts"
import { indexLines, resultLines } from "../render/SearchResults.ts"

const time = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("TIME"),
    Flag.withDescription(`${description}: a date such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z`),
    Flag.optional
  )

/** Reads pages until there are `limit` results. */
const resultsOf = Effect.fnUntraced(function* (hub: HubReader, query: SearchQuery, limit: number) {
  const results: Array<SearchResult> = []
  let after = query.after
  while (true) {
    const asked = { ...query, after, limit: Math.min(1_000, limit - results.length) }
    const page = yield* hub.ask((api) => api.search.search({ query: asked }))
    results.push(...page.results)
    const { next } = page
    const index: SearchIndex = page.index
    if (next === null || results.length >= limit) return { results, next, index }
    after = next
  }
})

export const search = Command.make(
  "search",
  {
    text: Argument.String("TEXT").pipe(
      Argument.withDescription(
        'What to find: words, "phrases", prefix*, OR, -not, parentheses. Put -- before a TEXT that starts with -'
      ),
      Argument.variadic({ min: 1 })
    ),
    channel: channelFlag.pipe(
      Flag.withDescription("Only in this channel, by its name or its id"),
      Flag.optional
    ),
    topic: Flag.String("topic").pipe(
      Flag.withMetavar("TOPIC"),
      Flag.withDescription("Only in this topic, as channel/title or by its id"),
      Flag.optional
    ),
    sender: Flag.String("sender").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Only messages of this sender, and attachments found in them"),
      Flag.optional
    ),
    since: time("since", "Only what was created at this time or later"),
    until: time("until", "Only what was created before this time"),
    in: Flag.Literals("in", SearchIn.literals).pipe(
      Flag.withDescription("Where to look. Default: both"),
      Flag.optional
    ),
    limit: limitFlag(20),
    after: Flag.String("after").pipe(
      Flag.withMetavar("NEXT"),
      Flag.withDescription("Continue a search: the number that its output ends with"),
      Flag.optional
    ),
    ...readFlags
  },
  Effect.fnUntraced(function* ({ text, channel, topic, limit, offline, database, ...given }) {
    const hub = yield* reader({ offline, database })
    const query = {
      q: text.join(" "),
      channel_id: Option.isSome(channel) ? (yield* channelOf(hub, channel.value)).id : undefined,
      topic_id: Option.isSome(topic) ? yield* topicIdOf(hub, topic.value) : undefined,
      sender: Option.getOrUndefined(given.sender),
      created_after: Option.getOrUndefined(given.since),
      created_before: Option.getOrUndefined(given.until),
      in: Option.getOrUndefined(given.in),
      after: Option.getOrUndefined(given.after)
    }
    const { results, next, index } = yield* resultsOf(hub, query, limit)
    if (yield* Json) {
      // Agentlip v1 has `messages`.
      const messages = results.flatMap((result) => (result.type === "message" ? [result.message] : []))
      return yield* show({ results, messages, next, index, count: results.length }, () => [])
    }
    const colours = process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === ""
    const lines = [
      ...(results.length === 0 ? ["Nothing was found."] : resultLines(results, colours)),
      ...(next === null ? [] : ["", `… more with --after ${next}`])
    ]
    yield* Console.log(lines.join("\n"))
    const problems = indexLines(index)
    if (problems.length > 0) yield* Console.error(problems.join("\n"))
  })
).pipe(
  Command.withDescription("Search messages and attachments, newest first"),
  Command.withExamples([
    { command: "agentlip search deploy friday", description: "Find texts with both words" },
    { command: `agentlip search '"on friday" OR weekend* -draft' --channel general` },
    { command: "agentlip search PluginRuntime --sender ada --since 2026-01-01" },
    { command: "agentlip search src/main.ts --in attachments --json" }
  ])
)
