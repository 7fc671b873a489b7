/** A hub with plugins for the console to show, and a browser that is signed in to it. */
import { ExecutionError } from "@agentlip/plugin-runtime"
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import type { Page } from "playwright-core"
import { linkTo, newPage, startBrowser, type Watched } from "./browser.ts"
import { extractorSpec, linkifierSpec, startHub, type TestHub } from "./testHub.ts"

export const from = <A>(work: () => Promise<A>): Effect.Effect<A> => Effect.promise(work)

/** A browser starts slowly on a busy machine. */
export const patience = { timeout: 120_000 }

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

/** Neither an error nor a violation of the page's policy. */
export const fine = ({ problems }: Watched): void => assert.deepStrictEqual(problems, [])

export const writeMessage = async (page: Page, text: string): Promise<void> => {
  await page.getByLabel("Write a message").fill(text)
  await page.keyboard.press("Enter")
}

/** The message whose text contains `text`. */
export const messageWith = (page: Page, text: string) => page.locator("li.message", { hasText: text })

/**
 * Waits until an expression is true in the page. `page.waitForFunction` cannot: the page's policy forbids it to evaluate
 * a text again.
 */
export const holds = async (page: Page, expression: string): Promise<void> => {
  for (const deadline = Date.now() + 30_000; !(await page.evaluate<boolean>(expression)); ) {
    assert.isBelow(Date.now(), deadline, `never true: ${expression}`)
    await page.waitForTimeout(20)
  }
}
