/** A hub with plugins for the console to show, and a browser that is signed in to it. */
import { ExecutionError } from "@agentlip/plugin-runtime"
import { Effect, Schema } from "effect"
import { linkTo, newPage, startBrowser } from "./browser.ts"
import { from } from "./consolePage.ts"
import { extractorSpec, linkifierSpec, startHub, type TestHub } from "./testHub.ts"

/** The first place of a word, as a finding of it. */
export const place = (text: string, word: string) => {
  const start = text.indexOf(word)
  return { start, end: start + word.length }
}

const Input = Schema.Struct({ message: Schema.Struct({ content_raw: Schema.String }) })
const decodeInput = Schema.decodeUnknownSync(Input)

/** A plugin that looks at the text of the message only. */
const reading =
  <A, E>(run: (text: string) => Effect.Effect<A, E>) =>
  (input: unknown) =>
    run(decodeInput(input).message.content_raw)

/** `collects` attaches addresses; `links` finds addresses and terms that overlap; `breaks` fails on one word; `lies` returns hostile data. */
export const consoleHub = (options: Parameters<typeof startHub>[0] = {}) =>
  startHub({
    plugins: [
      linkifierSpec("links"),
      linkifierSpec("breaks"),
      linkifierSpec("lies"),
      extractorSpec("collects")
    ],
    fakes: {
      collects: reading((text) =>
        Effect.succeed(
          text.includes("https://example.com/a")
            ? [{ kind: "url", value_json: { url: "https://example.com/a" } }]
            : []
        )
      ),
      links: reading((text) =>
        Effect.succeed([
          ...(text.includes("https://example.com/a")
            ? [
                {
                  kind: "url",
                  span: place(text, "https://example.com/a"),
                  data: { url: "https://example.com/a" }
                }
              ]
            : []),
          ...(text.includes("release 👩 notes")
            ? [
                { kind: "term", span: place(text, "release 👩"), data: { about: "the release" } },
                { kind: "person", span: place(text, "👩 notes"), data: {} }
              ]
            : [])
        ])
      ),
      breaks: reading((text) =>
        text.includes("boom")
          ? Effect.fail(
              new ExecutionError({
                plugin: "breaks",
                cause: {
                  name: "Error",
                  message: "it went <b>boom</b>",
                  stack: "Error: it went\n    at breaks.ts:7:9"
                }
              })
            )
          : Effect.succeed([])
      ),
      lies: reading((text) =>
        Effect.succeed(
          text.startsWith("https://bank.example")
            ? [
                {
                  kind: "<img src=x onerror=alert(1)>",
                  span: { start: 0, end: 5 },
                  data: { url: "javascript:alert(1)" }
                },
                {
                  kind: "bait",
                  span: { start: 0, end: 20 },
                  data: { url: "https://evil.example/", n: "\u202e<script>" }
                }
              ]
            : []
        )
      )
    },
    ...options
  })

export const post = (hub: Pick<TestHub, "post">, topic_id: string, content_raw: string, sender = "ada") =>
  Effect.map(hub.post("/api/v1/messages", { topic_id, sender, content_raw }), ({ body }) =>
    String(body.message.id)
  )

/** Opens a link, and then a view. */
export const signedIn = Effect.fnUntraced(function* (
  hub: Pick<TestHub, "url" | "token">,
  path = "/ui",
  options: Parameters<typeof newPage>[1] = {}
) {
  const browser = yield* startBrowser
  const watched = yield* newPage(browser, options)
  const link = yield* linkTo(hub)
  yield* from(async () => {
    await watched.page.goto(link)
    await watched.page.getByRole("button", { name: "Sign out" }).waitFor()
    await watched.page.goto(hub.url + path)
    await watched.page.locator("#view-title").waitFor({ state: "attached" })
  })
  return { browser, ...watched }
})

export const topicPath = (topic: string, message?: string): string =>
  `/ui/topics/${topic}${message === undefined ? "" : `#${message}`}`
