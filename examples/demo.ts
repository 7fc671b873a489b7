/**
 * `npm run demo`: a hub on a copy of `examples/workspace`, a dozen messages over HTTP, and what the plugins
 * made of each. `npm run demo -- --hostile`: the same, with the plugins of `examples/hostile` beside.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Clock, Console, Effect, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import type { Job, Enrichment, Message } from "@agentlip/protocol"
import { hostileDemo } from "./hostileDemo.ts"
import { messages } from "./messages.ts"
import { startHub, temporaryWorkspace } from "./runningHub.ts"

const longestWait = "60 seconds"

/** A job that waits for its breaker has said what it has to say; so has one that has ended. */
const hasSpoken = ({ state }: Job): boolean => state !== "pending"

/** Columns of a terminal. */
const widthOf = (character: string): number => (/\p{Emoji_Presentation}/u.test(character) ? 2 : 1)

/** The text, and below each line of it the marks of its spans; overlapping spans share their marks. */
const underline = (text: string, enrichments: ReadonlyArray<Enrichment>): ReadonlyArray<string> => {
  const isInSpan = (at: number): boolean => enrichments.some(({ span }) => span.start <= at && at < span.end)
  let at = 0
  return text.split("\n").flatMap((line) => {
    let marks = ""
    for (const character of line) {
      marks += (isInSpan(at) ? "~" : " ").repeat(widthOf(character))
      at += character.length
    }
    at += "\n".length
    return marks.includes("~") ? [`    ${line}`, `    ${marks.trimEnd()}`] : [`    ${line}`]
  })
}

const shorten = (text: string): string => {
  const line = text.replaceAll("\n", " ")
  return line.length > 110 ? `${line.slice(0, 109)}…` : line
}

const demo = Effect.gen(function* () {
  const started = yield* Clock.currentTimeMillis
  const { api, url } = yield* startHub(yield* temporaryWorkspace)
  const { reads, writes } = api
  const { plugins } = yield* reads.plugins()
  yield* Console.log(`A hub at ${url} with ${plugins.map(({ name }) => name).join(", ")}\n`)
  const { channel } = yield* writes.createChannel({ payload: { name: "demo" } })
  const { topic } = yield* writes.createTopic({
    payload: { channel_id: channel.id, title: "A dozen messages" }
  })

  const posted = yield* Effect.forEach(messages, ({ sender, text }) =>
    Effect.map(
      writes.createMessage({ payload: { topic_id: topic.id, sender, content_raw: text } }),
      ({ message }) => message
    )
  )
  const jobsOf = ({ id }: Message) =>
    reads.derivations({ params: { id }, query: {} }).pipe(
      Effect.map(({ derivations }) => derivations),
      Effect.repeat({ until: (found) => found.every(hasSpoken), schedule: Schedule.spaced("50 millis") })
    )
  const derivations = yield* Effect.forEach(posted, jobsOf).pipe(Effect.timeout(longestWait))
  const { attachments } = yield* reads.attachments({ params: { id: topic.id }, query: {} })

  for (const [at, message] of posted.entries()) {
    const { enrichments } = yield* reads.enrichments({ params: { id: message.id }, query: {} })
    yield* Console.log(`${message.sender}:`)
    yield* Console.log(underline(message.content_raw, enrichments).join("\n"))
    for (const { plugin_name, kind, span, data } of enrichments) {
      const shown = message.content_raw.slice(span.start, span.end)
      yield* Console.log(
        shorten(`      ${plugin_name}: ${kind} ${span.start}-${span.end} "${shown}" ${JSON.stringify(data)}`)
      )
    }
    for (const { kind, value_json, source_message_id } of attachments) {
      if (source_message_id !== message.id) continue
      yield* Console.log(shorten(`      attached: ${kind} ${JSON.stringify(value_json)}`))
    }
    for (const { plugin_name, error } of derivations[at] ?? []) {
      if (error !== null) yield* Console.log(shorten(`      ${plugin_name}: ${error.code}: ${error.message}`))
    }
    yield* Console.log("")
  }

  const ended = derivations.flat()
  const count = (state: string) => ended.filter((job) => job.state === state).length
  const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000
  yield* Console.log(
    `${posted.length} messages, ${ended.length} jobs: ${count("committed")} committed, ${count("empty")} empty, ` +
      `${count("failed")} failed, ${count("waiting")} waiting for a breaker; ${attachments.length} attachments; ${seconds.toFixed(1)} s.`
  )
}).pipe(Effect.scoped)

const command = Command.make(
  "demo",
  {
    hostile: Flag.Boolean("hostile").pipe(
      Flag.withDescription("With plugins beside the good ones that try to take the hub down"),
      Flag.withDefault(false)
    )
  },
  ({ hostile }) => (hostile ? hostileDemo : demo)
)

command.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
