import { CurrentRunObserver, ExecutionError, linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema, Scope } from "effect"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import type { Page } from "playwright-core"
import { urlOf } from "@agentlip/protocol"
import { agentlip, shows } from "./hubProcess.ts"
import { browserPath, linkTo, newPage, startBrowser, type Watched } from "./browser.ts"
import {
  client,
  readServerFile,
  eventually,
  jobsOf,
  linkifierSpec,
  makeTopic,
  startHub,
  tempWorkspace,
  type TestHub
} from "./testHub.ts"

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

const from = <A>(work: () => Promise<A>): Effect.Effect<A> => Effect.promise(work)

/** The first place of a word, as a finding of it. */
const place = (text: string, word: string) => {
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

/** `links` finds addresses and terms that overlap; `breaks` fails on one word; `lies` returns hostile data. */
const consoleHub = (options: Parameters<typeof startHub>[0] = {}) =>
  startHub({
    plugins: [linkifierSpec("links"), linkifierSpec("breaks"), linkifierSpec("lies")],
    fakes: {
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

const post = (hub: TestHub, topic_id: string, content_raw: string, sender = "ada") =>
  Effect.map(hub.post("/api/v1/messages", { topic_id, sender, content_raw }), ({ body }) =>
    String(body.message.id)
  )

/** Copies a message in the database, so often that posting would take too long. Returns the ids, oldest first. */
const manyMessages = Effect.fnUntraced(function* (hub: TestHub, topic: string, count: number) {
  const last = yield* post(hub, topic, "the last one")
  const [row] = yield* hub.rows(`SELECT * FROM messages WHERE id = '${last}'`)
  const names = Object.keys(row)
  const changed: Readonly<Record<string, string>> = {
    id: "printf('0000%013x', n)",
    content_raw: "'message ' || n || '.'",
    sender: "'s' || (n % 7)"
  }
  yield* hub.rows(`WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count - 2})
    INSERT INTO messages (${names.join(", ")})
    SELECT ${names.map((name) => changed[name] ?? name).join(", ")}
    FROM numbers, (SELECT * FROM messages WHERE id = '${last}')`)
  const copies = Array.from({ length: count - 1 }, (_, n) => `0000${n.toString(16).padStart(13, "0")}`)
  return [...copies, last]
})

/** Opens a link, and then a view. */
const signedIn = Effect.fnUntraced(function* (
  hub: TestHub,
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

const topicPath = (topic: string, message?: string): string =>
  `/ui/topics/${topic}${message === undefined ? "" : `#${message}`}`

const fine = ({ problems }: Watched): void => assert.deepStrictEqual(problems, [])

const item = (page: Page, id: string) => page.locator(`li[id="${id}"]`)

const writeMessage = async (page: Page, text: string): Promise<void> => {
  await page.getByLabel("Write a message").fill(text)
  await page.keyboard.press("Enter")
}

// A browser starts slowly on a busy machine.
const patience = { timeout: 120_000 }

describe.skipIf(browserPath === undefined)(
  "the console in Chromium (skipped where there is none)",
  patience,
  () => {
    it.live("signs in once with a link, and keeps the token and the code out of the browser", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub({ readAuth: true })
        const browser = yield* startBrowser
        const { page, problems } = yield* newPage(browser)
        const link = yield* linkTo(hub)
        const asked: Array<string> = []
        page.on("request", (request) => asked.push(request.url() + JSON.stringify(request.headers())))
        const state = yield* from(async () => {
          await page.goto(hub.url)
          await page.getByText("agentlip open").waitFor()
          await page.goto(link)
          // The same document: the link differs in its fragment only if the page is /open already.
          await page.getByRole("button", { name: "Sign out" }).waitFor()
          assert.strictEqual(new URL(page.url()).pathname, "/")
          return {
            storage: await page.evaluate(
              "JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie"
            ),
            html: await page.content(),
            cookies: await page.context().cookies()
          }
        })
        const code = link.split("#")[1] ?? ""
        for (const text of [String(state.storage), state.html, page.url(), ...asked]) {
          assert.notInclude(text, hub.token)
          assert.notInclude(text, code)
        }
        const [cookie] = state.cookies
        assert.include(cookie, { httpOnly: true, sameSite: "Strict", path: "/api/v1" })
        // The browser has nothing to show for the link a second time, but its session goes on.
        yield* from(async () => {
          await page.goto(link)
          await page.getByRole("button", { name: "Sign out" }).click()
          await page.getByRole("heading", { name: "Sign in with a link" }).waitFor()
        })
        const other = yield* newPage(browser)
        yield* from(async () => {
          await other.page.goto(link)
          await other.page.getByText("This link was used or has expired").waitFor()
        })
        fine({ page, problems })
      })
    )

    it.live("posts, shows findings in place as they arrive, edits and deletes, in two browsers at once", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        const first = yield* signedIn(hub, topicPath(topic))
        const second = yield* newPage(first.browser)
        yield* from(async () => {
          await second.page.goto(hub.url + topicPath(topic))
          await second.page.getByText("Nothing was said here yet").waitFor()
          await second.page.getByText("You can read here").waitFor()
          assert.strictEqual(await second.page.getByLabel("Write a message").count(), 0)

          await writeMessage(first.page, "See https://example.com/a in the release 👩 notes")
          for (const { page } of [first, second]) {
            const link = page.getByRole("link", { name: "https://example.com/a" })
            await link.waitFor()
            assert.strictEqual(await link.getAttribute("href"), "https://example.com/a")
            assert.include(await link.getAttribute("rel"), "noopener")
            // Two findings that overlap, cut at their borders.
            await page.locator(".finding", { hasText: /^👩$/ }).waitFor()
            const texts = await page.locator(".finding").allInnerTexts()
            assert.deepStrictEqual(texts, ["https://example.com/a", "release ", "👩", " notes"])
          }
          await first.page.locator(".finding", { hasText: "👩" }).hover()
          const card = first.page.getByRole("group", { name: "Findings" })
          await card.getByText("person").waitFor()
          assert.include(await card.innerText(), "the release")
          assert.include(await card.innerText(), "links")
          await first.page.keyboard.press("Escape")
          await card.waitFor({ state: "detached" })

          const message = first.page.locator("li.message").first()
          await message.focus()
          await first.page.keyboard.press("e")
          await first.page.getByLabel("Text of the message").fill("Nothing to see")
          await first.page.keyboard.press("Enter")
          await second.page.getByText("Nothing to see").waitFor()
          await second.page.getByText("edited").waitFor()
          assert.strictEqual(await second.page.locator(".finding").count(), 0)

          await message.hover()
          await message.getByRole("button", { name: "Delete" }).click()
          await message.getByRole("group").getByRole("button", { name: "Delete" }).click()
          await second.page.getByText("deleted by").waitFor()
        })
        fine(first)
        fine(second)
      })
    )

    it.live("shows hostile texts as text", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const channel = yield* hub.post("/api/v1/channels", { name: "<script>alert(1)</script>" })
        const { body } = yield* hub.post("/api/v1/topics", {
          channel_id: channel.body.channel.id,
          title: "<img src=x onerror=alert(1)>\u202e"
        })
        const topic = String(body.topic.id)
        const ids = [
          yield* post(hub, topic, "<img src=x onerror=alert(1)><script>alert(1)</script>", "\u202eroot<b>"),
          yield* post(hub, topic, "https://bank.example and [x](javascript:alert(1))"),
          yield* post(hub, topic, `${"W".repeat(65_000)}`),
          yield* post(hub, topic, "a\u202eb\u0007c\u200bd boom")
        ]
        for (const id of ids) yield* jobsOf(hub, id)
        yield* hub.post(`/api/v1/topics/${topic}/attachments`, {
          kind: "<b>x</b>",
          value_json: { title: "<i>", url: "https://a@evil.example/" }
        })
        const { page, problems } = yield* signedIn(hub, topicPath(topic))
        const dialogs: Array<string> = []
        page.on("dialog", (dialog) => {
          dialogs.push(dialog.message())
          void dialog.dismiss()
        })
        yield* from(async () => {
          await page.getByText("→ evil.example").first().waitFor()
          const markup = page.locator("main").locator("img, script, b, i, iframe, form[action]")
          assert.strictEqual(await markup.count(), 0)
          const links = await page
            .locator("a")
            .evaluateAll((all) => all.map((link) => link.getAttribute("href") ?? ""))
          for (const link of links) assert.match(link, /^(?:https?:|\/|#main)/)
          for (const shown of ["U+202E", "U+0007", "U+200B"]) await page.getByText(shown).first().waitFor()
          // A message of 64 KiB is cut, and can be opened.
          await page.getByRole("button", { name: "Show all 65,000 characters" }).click()
          await page.getByRole("button", { name: "Show less" }).waitFor()
          const [width, wide] = await page.evaluate<[number, number]>(
            "[document.documentElement.clientWidth, document.documentElement.scrollWidth]"
          )
          assert.isAtMost(wide, width)
          await page.goto(`${hub.url}/ui/events`)
          await page.locator("ol.events li").first().waitFor()
          assert.strictEqual(await page.locator("main").locator("img, script, b, i").count(), 0)
        })
        assert.deepStrictEqual(dialogs, [])
        fine({ page, problems })
      })
    )

    it.live(
      "tells why a message was not enriched, and lets the circuit be closed and the job be retried",
      () =>
        Effect.gen(function* () {
          const hub = yield* consoleHub()
          const { topic } = yield* makeTopic(hub)
          const { page, problems } = yield* signedIn(hub, topicPath(topic))
          yield* from(async () => {
            for (const text of ["boom 1", "boom 2", "boom 3"]) {
              await writeMessage(page, text)
              await page
                .locator("li.message", { hasText: text })
                .locator("summary", { hasText: "breaks failed" })
                .waitFor()
            }
            await writeMessage(page, "boom 4")
            await page
              .locator("li.message", { hasText: "boom 4" })
              .locator("summary", { hasText: "breaks waiting" })
              .waitFor()
            const failed = page.locator("li.message", { hasText: "boom 1" })
            await failed.locator("summary").click()
            await failed.getByText("it went <b>boom</b>").waitFor()
            await failed.getByRole("link", { name: "breaks" }).click()

            await page.getByRole("heading", { name: "breaks" }).waitFor()
            assert.strictEqual(await page.evaluate("document.activeElement?.id"), "view-title")
            await page.getByText("Next try in").waitFor()
            await page.getByText("at breaks.ts:7:9").first().waitFor()
            await page.getByRole("button", { name: "Close the circuit" }).click()
            await page.getByText("closed: it runs").waitFor()
            await page.getByRole("button", { name: "Pause the plugin" }).click()
            await page.getByText("open: paused after failures").waitFor()

            await page.getByRole("link", { name: "Jobs" }).click()
            await page.getByRole("link", { name: "this message" }).first().waitFor()
            await page.getByRole("button", { name: "Retry failed jobs" }).click()
            await page.getByText(/\d jobs run again\./).waitFor()
            await page.getByRole("link", { name: "this message" }).first().click()
            await page.locator("li.message.target").waitFor()
            assert.match(page.url(), new RegExp(`/ui/topics/${topic}#`))
          })
          fine({ page, problems })
        })
    )

    it.live("shows what a plugin logged, and tries it on a text until it is repaired", () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const file = path.join(workspace, "tickets.mjs")
        const source = (body: string) => `export default {
  name: "tickets", version: "2.0.0",
  enrich({ message: { content_raw } }, { log }) {
    log.info("<b>looking</b> at \u202e" + content_raw.length)
    ${body}
  }
}
`
        fs.writeFileSync(file, source("return content_raw.nothing.here"))
        const spec = makeSpec({ name: "tickets", kind: linkifier, modulePath: file, isolation: "thread" })
        const hub = yield* startHub({
          workspace,
          plugins: [spec],
          fakes: {
            tickets: () =>
              Effect.flatMap(CurrentRunObserver, (observer) => {
                observer?.log("Warn", "<img src=x> careful")
                return Effect.fail(
                  new ExecutionError({ plugin: "tickets", cause: { name: "TypeError", message: "it broke" } })
                )
              })
          }
        })
        const { topic } = yield* makeTopic(hub)
        const id = yield* post(hub, topic, "see 👩 OPS-42")
        yield* jobsOf(hub, id)
        const { page, problems } = yield* signedIn(hub, "/ui/plugins/tickets")
        yield* from(async () => {
          const run = page.locator(".runs li").first()
          await run.locator("summary").click()
          await run.getByText("<img src=x> careful").waitFor()
          await run.getByText("TypeError: it broke").waitFor()
          await run.getByText("version test").waitFor()
          await run.getByRole("link", { name: "this message" }).click()

          await page.locator("li.message summary").click()
          await page.getByRole("link", { name: "Try it in the playground" }).click()
          await page.waitForFunction("document.querySelector('textarea').value === 'see 👩 OPS-42'")
          await page.getByRole("button", { name: "Run" }).click()
          await page.getByText("Cannot read properties of undefined").waitFor()
          await page.getByText("return content_raw.nothing.here").waitFor()
          await page.locator(".log").getByText("<b>looking</b> at").waitFor()
          // Repaired, and run again by the keyboard.
          fs.writeFileSync(
            file,
            source('return [{ kind: "ticket", span: { start: 7, end: 13 }, data: { id: "<i>OPS" } }]')
          )
          await page.getByLabel("Text", { exact: true }).focus()
          await page.keyboard.press("Control+Enter")
          const found = page.locator(".finding", { hasText: /^OPS-42$/ })
          await found.hover()
          const card = page.getByRole("group", { name: "Findings" })
          await card.getByText("2.0.0").waitFor()
          assert.include(await card.innerText(), "<i>OPS")
          await page.getByText(/loaded in .*, ran /).waitFor()

          await page.getByLabel("Plugin", { exact: true }).selectOption("a file of the workspace…")
          await page.getByLabel("Path of the plugin's module").fill("../elsewhere.mjs")
          await page.getByRole("button", { name: "Run" }).click()
          await page.locator("p.problem", { hasText: "There is no file" }).waitFor()
        })
        fine({ page, problems })
        assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 1)
      })
    )

    it.live("goes anywhere by the keyboard, and moves messages", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { channel, topic } = yield* makeTopic(hub)
        const { body } = yield* hub.post("/api/v1/topics", { channel_id: channel, title: "elsewhere" })
        yield* post(hub, topic, "to be moved")
        const { page, problems } = yield* signedIn(hub)
        yield* from(async () => {
          await page.keyboard.press("?")
          await page.getByRole("dialog", { name: "Keyboard" }).waitFor()
          await page.keyboard.press("Escape")
          await page.getByRole("dialog").waitFor({ state: "detached" })
          await page.keyboard.press("Control+k")
          await page.getByRole("option", { name: "general / first" }).waitFor()
          await page.keyboard.type("brea")
          await page.getByRole("option", { name: "breaks" }).waitFor()
          await page.keyboard.press("Enter")
          await page.getByRole("heading", { name: "breaks" }).waitFor()
          await page.keyboard.press("Control+k")
          await page.keyboard.type("first")
          await page.getByRole("option", { name: "general / first" }).waitFor()
          await page.keyboard.press("Enter")

          const message = page.locator("li.message", { hasText: "to be moved" })
          await message.hover()
          await message.getByRole("button", { name: "Move" }).click()
          await message.getByLabel("Move to").selectOption({ label: "elsewhere" })
          await message.locator("form").getByRole("button", { name: "Move" }).click()
          await page.getByText("Nothing was said here yet").waitFor()
          await page.getByRole("link", { name: "elsewhere" }).click()
          await page.getByText("to be moved").waitFor()
          await page.keyboard.press("c")
          await page.keyboard.type("written")
          assert.strictEqual(await page.getByLabel("Write a message").inputValue(), "written")
        })
        fine({ page, problems })
        const rows = yield* hub.rows(`SELECT id FROM messages WHERE topic_id = '${body.topic.id}'`)
        assert.strictEqual(rows.length, 1)
      })
    )

    it.live("searches with filters, shows what was found, and goes to it", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        const other = yield* makeTopic(hub, "other")
        const script = "<img src=x onerror=alert(1)>"
        for (let n = 0; n < 25; n++) yield* post(hub, topic, `deploy number${n}`)
        const id = yield* post(hub, other.topic, `Deploy ${script} on 👩‍💻 friday`, "bob")
        for (let n = 0; n < 60; n++) yield* post(hub, other.topic, `later ${n}`)
        const { page, problems } = yield* signedIn(hub)
        const results = page.locator(".results > li")
        yield* from(async () => {
          await page.keyboard.press("/")
          await page.getByText("Results appear as you type").waitFor()
          // The field has the focus.
          await page.keyboard.type("deploy")
          await page.getByText("20 or more results").waitFor()
          assert.include(await results.first().innerText(), `Deploy ${script} on`)
          assert.strictEqual(await page.locator(".results img").count(), 0)
          assert.deepStrictEqual(await results.first().locator("mark").allInnerTexts(), ["Deploy"])
          await page.getByRole("button", { name: "Show more" }).click()
          await page.getByText("26 results").waitFor()
          assert.strictEqual(await results.count(), 26)

          await page.getByLabel("channel").selectOption({ label: "other" })
          await page.getByText("1 result", { exact: true }).waitFor()
          await page.getByLabel("channel").selectOption({ label: "all" })
          await page.getByLabel("sender").fill("nobody")
          await page.getByText("Nothing was found.").waitFor()
          await page.getByLabel("sender").fill("bob")
          await page.getByLabel("since").fill("2020-01-01")
          await page.getByText("1 result", { exact: true }).waitFor()

          // A mistake is shown in its place.
          await page.getByLabel("Search messages and attachments").fill("deploy (friday")
          await page.locator("mark.mistake").waitFor()
          assert.strictEqual(await page.locator("mark.mistake").innerText(), "(")
          await page.getByLabel("Search messages and attachments").fill('"👩‍💻 friday"')
          await page.locator(".results mark").waitFor()
          assert.deepStrictEqual(await page.locator(".results mark").allInnerTexts(), ["👩‍💻 friday"])

          // From the field down to the result, to its message, and back to what was searched.
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("Enter")
          await page.waitForURL((url) => url.pathname.endsWith(other.topic) && url.hash === `#${id}`)
          await item(page, id).waitFor()
          await page.goBack()
          await page.locator(".results mark").waitFor()
          const field = page.getByLabel("Search messages and attachments")
          assert.strictEqual(await field.inputValue(), '"👩‍💻 friday"')
          assert.strictEqual(await page.getByLabel("sender").inputValue(), "bob")
          await page.keyboard.press("ArrowDown")
          await page.keyboard.press("k")
          await page.locator("#search-text:focus").waitFor()
        })
        fine({ page, problems })
      })
    )

    it.live("follows a sign-in and a sign-out in another tab", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        const browser = yield* startBrowser
        const { page, problems } = yield* newPage(browser)
        const link = yield* linkTo(hub)
        yield* from(async () => {
          await page.goto(hub.url + topicPath(topic))
          await page.getByText("You can read here").waitFor()
          const other = await page.context().newPage()
          await other.goto(link)
          await page.getByLabel("Write a message").waitFor()
          await other.getByRole("button", { name: "Sign out" }).click()
          await page.getByText("You can read here").waitFor()
        })
        fine({ page, problems })
      })
    )

    it.live("keeps drafts, and is honest about a message that was not sent", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        const { page } = yield* signedIn(hub, topicPath(topic))
        yield* from(async () => {
          await page.getByLabel("Write a message").fill("half a thought")
          await page.reload()
          await page.getByText("Nothing was said here yet").waitFor()
          assert.strictEqual(await page.getByLabel("Write a message").inputValue(), "half a thought")
          // The hub stores the message, and its response is lost.
          let isLost = true
          await page.route("**/api/v1/messages", async (route) => {
            if (route.request().method() !== "POST" || !isLost) return route.fallback()
            isLost = false
            await route.fetch()
            await route.abort()
          })
          await page.getByLabel("Write a message").focus()
          await page.keyboard.press("Enter")
          await page.getByText("not sent").waitFor()
          await page.getByRole("button", { name: "Send again" }).click()
          await page.getByText("not sent").waitFor({ state: "detached" })
          await page.reload()
          await page.getByText("half a thought").waitFor()
          assert.strictEqual(await page.getByText("half a thought").count(), 1)
          assert.strictEqual(await page.getByLabel("Write a message").inputValue(), "")
        })
        assert.strictEqual((yield* hub.rows("SELECT id FROM messages")).length, 1)
      })
    )

    it.live(
      "stays small in a long topic, reads on in both directions, and goes to the message of a link",
      () =>
        Effect.gen(function* () {
          const hub = yield* startHub()
          const { topic } = yield* makeTopic(hub)
          const ids = yield* manyMessages(hub, topic, 10_000)
          const { page, problems } = yield* signedIn(hub, topicPath(topic))
          const list = page.getByLabel("Messages", { exact: true })
          const isShown = (number: number) => item(page, ids[number] ?? "").waitFor()
          /** Scrolls to one end of what is drawn, again and again, until a message is there. */
          const scrollUntil = async (number: number, to: "start" | "end"): Promise<void> => {
            const wanted = item(page, ids[number] ?? "")
            while ((await wanted.count()) === 0) {
              await list.evaluate(
                (element, to) => element.scrollTo(0, to === "start" ? 0 : element.scrollHeight),
                to
              )
              await page.waitForTimeout(20)
              assert.isAtMost(await page.locator("li.message").count(), 150)
            }
          }
          yield* from(async () => {
            await isShown(9_999)
            await scrollUntil(9_700, "start")
            await page.getByRole("button", { name: "Newest messages" }).click()
            await isShown(9_999)

            await page.goto(`${hub.url}/ui#${ids[5_000]}`)
            const target = item(page, ids[5_000] ?? "")
            await target.waitFor()
            await page.waitForFunction(`document.activeElement.id === ${JSON.stringify(ids[5_000])}`)
            const box = await target.boundingBox()
            assert.isTrue(box !== null && box.y >= 0 && box.y + box.height <= 720, JSON.stringify(box))
            await scrollUntil(5_200, "end")

            await page.goto(`${hub.url}/ui#${ids[20]}`)
            await isShown(20)
            await scrollUntil(0, "start")
            await page.getByText("The topic starts here.").waitFor()
          })
          fine({ page, problems })
        })
    )

    it.live("goes on with a hub that restarts under an open page", () =>
      Effect.gen(function* () {
        // Processes of their own: only the end of a process closes all of its connections.
        const workspace = yield* tempWorkspace
        const up = (port: string) =>
          Effect.gen(function* () {
            const running = yield* agentlip("up", "--workspace", workspace, "--port", port)
            yield* shows(running, "http://127.0.0.1:")
            const server = readServerFile(workspace)
            const url = urlOf(server)
            return {
              process: running.process,
              url,
              token: server.auth_token,
              ...client(url, server.auth_token)
            }
          })
        const first = yield* up("0")
        const { topic } = yield* makeTopic(first)
        const browser = yield* startBrowser
        const { page } = yield* newPage(browser)
        const say = (hub: typeof first, content_raw: string) =>
          hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw })
        yield* say(first, "before the restart")
        const link = yield* linkTo(first)
        yield* from(async () => {
          await page.goto(link)
          await page.getByRole("button", { name: "Sign out" }).waitFor()
          await page.goto(first.url + topicPath(topic))
          await page.getByText("before the restart").waitFor()
          first.process.kill("SIGKILL")
          await page.getByText("Connection lost").waitFor()
        })
        const second = yield* up(new URL(first.url).port)
        yield* say(second, "after the restart")
        yield* from(async () => {
          // The session has ended with the hub, and the page says so; reads are open.
          await page.getByText("after the restart").waitFor()
          await page.getByText("Your session has ended").waitFor()
          await page.getByText("before the restart").waitFor()
        })
        const again = yield* linkTo(second)
        yield* from(async () => {
          await page.goto(again)
          await page.getByRole("button", { name: "Sign out" }).waitFor()
          await page.goto(second.url + topicPath(topic))
          await writeMessage(page, "with a new session")
          await page.locator("li.message:not(.unsent)", { hasText: "with a new session" }).waitFor()
        })
      })
    )

    it.live("says that the hub is away", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const hub = yield* Effect.provideService(consoleHub(), Scope.Scope, scope)
        const { topic } = yield* makeTopic(hub)
        yield* post(hub, topic, "still here")
        const { page } = yield* signedIn(hub, topicPath(topic))
        yield* from(() => page.getByText("still here").waitFor())
        yield* Scope.close(scope, Exit.void)
        yield* from(async () => {
          await page.getByText("Connection lost").waitFor()
          await page.getByText("still here").waitFor()
          await writeMessage(page, "into the void")
          await page.getByText("not sent").waitFor()
        })
      })
    )

    it.live("shows events as they happen, and can be paused", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        const { page, problems } = yield* signedIn(hub, "/ui/events")
        yield* from(() => page.locator("ol.events code", { hasText: "topic.created" }).first().waitFor())
        yield* post(hub, topic, "the first")
        yield* from(async () => {
          await page.getByText("the first").waitFor()
          await page.getByRole("button", { name: "Pause" }).click()
        })
        yield* post(hub, topic, "the second")
        yield* from(async () => {
          await page.getByRole("button", { name: /Resume \(\d+ new\)/ }).waitFor()
          assert.strictEqual(await page.getByText("the second").count(), 0)
          await page.getByRole("button", { name: /Resume/ }).click()
          await page.getByText("the second").waitFor()
          await page.getByLabel("contains").fill("the first")
          await page.getByText("the second").waitFor({ state: "detached" })
          await page.locator("summary").first().click()
          await page.getByText('"content_raw": "the first"').waitFor()
        })
        fine({ page, problems })
      })
    )

    it.live("has no serious accessibility problem on any view, light, dark or narrow", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        const ids = [
          yield* post(hub, topic, "See https://example.com/a in the release 👩 notes"),
          yield* post(hub, topic, "boom مرحبا")
        ]
        for (const id of ids) yield* jobsOf(hub, id)
        yield* hub.post(`/api/v1/topics/${topic}/attachments`, { kind: "note", value_json: { a: 1 } })
        const views = [
          topicPath(topic),
          "/ui",
          "/ui/search#q=release+OR+boom",
          "/ui/search#q=release+(",
          "/ui/plugins",
          "/ui/plugins/breaks",
          "/ui/playground",
          "/ui/module",
          "/ui/jobs",
          "/ui/events",
          "/ui/health"
        ]
        for (const options of [
          { colorScheme: "light" as const },
          { colorScheme: "dark" as const },
          { viewport: { width: 360, height: 740 } }
        ]) {
          // The audit adds its own script to the page, which the page's policy refuses.
          const { page } = yield* signedIn(hub, "/ui", { ...options, bypassCSP: true })
          yield* from(async () => {
            for (const view of views) {
              await page.goto(hub.url + view)
              await page.locator("main").waitFor()
              await page.waitForLoadState("load")
              await page.waitForTimeout(300)
              await page.addScriptTag({ content: axe })
              const found = await page.evaluate<ReadonlyArray<string>>(`axe.run().then(({ violations }) =>
              violations.filter(({ impact }) => impact === "serious" || impact === "critical")
                .map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 200)).join(" | ")))`)
              assert.deepStrictEqual(found, [], `${view} ${JSON.stringify(options)}`)
              const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth")
              assert.isAtMost(wide, 0, view)
            }
          })
        }
      })
    )

    it.live("cannot be driven by a page of another origin", () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        const other = yield* startHub()
        const { page } = yield* signedIn(hub)
        // Another hub's console is a page of another port, to which the browser sends this hub's cookie too.
        yield* from(() => page.goto(other.url))
        const results = yield* from(() =>
          page.evaluate(
            async ({ url, topic }) => {
              const body = JSON.stringify({ topic_id: topic, sender: "evil", content_raw: "x" })
              const attempts = [{ mode: "no-cors" as const }, { mode: "cors" as const }]
              return Promise.all(
                attempts.map(({ mode }) =>
                  fetch(`${url}/api/v1/messages`, {
                    method: "POST",
                    mode,
                    credentials: "include",
                    body
                  }).then(
                    ({ type }) => type,
                    () => "refused"
                  )
                )
              )
            },
            { url: hub.url, topic }
          )
        )
        assert.deepStrictEqual(results, ["refused", "refused"])
        const rows = yield* eventually(hub.rows("SELECT id FROM messages"), () => true)
        assert.strictEqual(rows.length, 0)
        yield* from(async () => {
          await page.setContent(`<iframe src="${hub.url}/ui"></iframe>`).catch(() => {})
          const frames = page.frames().filter((frame) => frame.url().startsWith(hub.url))
          for (const frame of frames) assert.strictEqual(await frame.locator(".top").count(), 0)
        })
      })
    )
  }
)
