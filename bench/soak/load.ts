/**
 * Writers and readers. Requests are sent when it is their time, whether those before have been answered or not, so
 * that a hub that is slow cannot slow down those who measure it.
 */
import type { Channel, Message, Topic } from "@agentlip/protocol"
import { Agent } from "node:http"
import { call, type Hub, Refused } from "../hub.ts"
import { type Random, seeded } from "./random.ts"
import { deeds } from "./setup.ts"

/** Requests a second; together below the hub's default limit for one client, which stays on. */
export const rates = { post: 30, edit: 4, remove: 2, move: 1, attach: 2, read: 8 } as const

type Kind = keyof typeof rates

/** Every so many posts set each erratic plugin off: each misbehaves about every ten seconds. */
const deedEvery = 400

/** Messages that are still edited, deleted and moved. */
const remembered = 500

/** The answers that the load provokes: somebody else has deleted it, or it is at its version no more. */
const provoked = new Set<number | undefined>([404, 409, 400])

export interface Load {
  readonly answered: { readonly [kind in Kind]: number }
  readonly posted: () => number
  /** Milliseconds of each POST of a message since it was asked last. */
  readonly takeLatencies: () => ReadonlyArray<number>
  readonly provoked: () => number
  /** Answers that nobody provoked, and requests without an answer. */
  readonly errors: ReadonlyArray<string>
  /** Sends no more and waits for the answers. */
  readonly stop: () => Promise<void>
}

const text = (random: Random, number: number): string => {
  const words = [`message ${number}: see https://example.com/${random.below(1000)}`, "ask @ada"]
  for (const deed of deeds) if (random.below(deedEvery) === 0) words.push(`#${deed}`)
  if (random.below(50) === 0) words.push("and so on, ".repeat(1_500))
  return words.join(" ")
}

export const startLoad = async (hub: Hub, seed: number): Promise<Load> => {
  const random = seeded(seed)
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const ask = <A>(method: string, target: string, body?: unknown): Promise<A> =>
    call<A>(agent, hub, method, target, body)

  const topics: Array<Pick<Topic, "id" | "channel_id">> = []
  for (const name of ["one", "two"]) {
    const { channel } = await ask<{ channel: Channel }>("POST", "/api/v1/channels", { name })
    for (let number = 0; number < 5; number++) {
      const body = { channel_id: channel.id, title: `topic ${number}` }
      const { topic } = await ask<{ topic: Topic }>("POST", "/api/v1/topics", body)
      topics.push(topic)
    }
  }

  const messages: Array<string> = []
  const latencies: Array<number> = []
  const errors: Array<string> = []
  const answered = { post: 0, edit: 0, remove: 0, move: 0, attach: 0, read: 0 }
  let number = 0
  let refusals = 0

  const someMessage = (): string => random.pick(messages) ?? "none"
  const someTopic = () => random.pick(topics) ?? { channel_id: "none", id: "none" }

  const requests: { readonly [kind in Kind]: () => Promise<unknown> } = {
    post: async () => {
      const body = { topic_id: someTopic().id, sender: "soak", content_raw: text(random, number++) }
      const begin = performance.now()
      const { message } = await ask<{ message: Message }>("POST", "/api/v1/messages", body)
      latencies.push(performance.now() - begin)
      messages.push(message.id)
      if (messages.length > remembered) messages.splice(random.below(messages.length), 1)
    },
    edit: () =>
      ask("PATCH", `/api/v1/messages/${someMessage()}`, {
        op: "edit",
        content_raw: text(random, number++),
        ...(random.below(10) === 0 ? { expected_version: 1 } : {})
      }),
    remove: () => ask("PATCH", `/api/v1/messages/${someMessage()}`, { op: "delete", actor: "soak" }),
    move: () =>
      ask("PATCH", `/api/v1/messages/${someMessage()}`, {
        op: "move_topic",
        to_topic_id: someTopic().id,
        mode: "one"
      }),
    attach: () =>
      ask("POST", `/api/v1/topics/${someTopic().id}/attachments`, {
        kind: "note",
        value_json: { note: random.below(10_000) }
      }),
    read: () => {
      const pages = [
        `/api/v1/messages?topic_id=${someTopic().id}&limit=50`,
        `/api/v1/messages?channel_id=${someTopic().channel_id}&before_id=${someMessage()}`,
        `/api/v1/messages/${someMessage()}/derivations`,
        `/api/v1/messages/${someMessage()}/enrichments`,
        `/api/v1/channels/${someTopic().channel_id}/topics`,
        "/api/v1/events?tail=100",
        "/api/v1/plugins"
      ]
      return ask("GET", random.pick(pages) ?? "/health")
    }
  }

  const open = new Set<Promise<void>>()
  let stopped = false
  const timers = new Map<Kind, NodeJS.Timeout>()

  const send = (kind: Kind): void => {
    const sent = requests[kind]().then(
      () => void answered[kind]++,
      (failure: unknown) => {
        const isProvoked = failure instanceof Refused && kind !== "post" && provoked.has(failure.status)
        if (isProvoked) refusals++
        else errors.push(`${kind}: ${String(failure)}`)
      }
    )
    open.add(sent)
    void sent.finally(() => open.delete(sent))
  }

  const schedule = (kind: Kind, at: number): void => {
    const next = at + random.wait(rates[kind])
    const timer = setTimeout(
      () => {
        if (stopped) return
        send(kind)
        schedule(kind, next)
      },
      Math.max(0, next - performance.now())
    )
    timers.set(kind, timer)
  }
  for (const kind of Object.keys(rates)) schedule(kind as Kind, performance.now())

  return {
    answered,
    posted: () => answered.post,
    takeLatencies: () => latencies.splice(0),
    provoked: () => refusals,
    errors,
    stop: async () => {
      stopped = true
      for (const timer of timers.values()) clearTimeout(timer)
      await Promise.all(open)
      agent.destroy()
    }
  }
}
