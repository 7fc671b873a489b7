/** What every contender is given and must answer. */
import { deepStrictEqual } from "node:assert/strict"
import { type Link, links } from "../plugins/links.mjs"

export interface Task {
  readonly input: { readonly message: Message; readonly config: {} }
  readonly expected: ReadonlyArray<Link>
}

interface Message {
  readonly id: string
  readonly content_raw: string
  readonly sender: string
  readonly topic_id: string
  readonly channel_id: string
  readonly created_at: string
}

const sentence = "see https://example.com/docs and https://agentlip.dev, then tell @ada what you think of it "

/** A message of so many bytes; two links whatever its size, so that only the input grows. */
export const makeTask = (bytes: number): Task => {
  const content_raw = sentence.padEnd(bytes, "and so on, with words that are no links; ").slice(0, bytes)
  const message = {
    id: "01",
    content_raw,
    sender: "bench",
    topic_id: "t",
    channel_id: "c",
    created_at: "2026-01-01T00:00:00.000Z"
  }
  return { input: { message, config: {} }, expected: links(content_raw) }
}

export const smallTask = makeTask(100)

/** Throws unless the answer is right. How long it is and where it ends tells most; the rest is looked at where they differ. */
export const verify = ({ expected }: Task, output: unknown): void => {
  if (Array.isArray(output) && output.length === expected.length) {
    const last: unknown = output.at(-1)?.span?.end
    if (last === expected.at(-1)?.span.end) return
  }
  deepStrictEqual(output, expected)
}
