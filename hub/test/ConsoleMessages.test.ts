import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { newPage } from "./browser.ts"
import { consoleHub, post, signedIn, topicPath } from "./consoleHub.ts"
import { describeInBrowser, fine, from, holds, messageWith, writeMessage } from "./consolePage.ts"
import { jobsOf, makeTopic, startHub, type TestHub } from "./testHub.ts"

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

const item = (page: Page, id: string) => page.locator(`li[id="${id}"]`)

describeInBrowser("messages in the console", () => {
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
          const link = page.locator("a.finding", { hasText: "https://example.com/a" })
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

  it.live("shows who found an attachment, with the version of the plugin, and leads to its message", () =>
    Effect.gen(function* () {
      const hub = yield* consoleHub()
      const { topic } = yield* makeTopic(hub)
      const { page, problems } = yield* signedIn(hub, topicPath(topic))
      const facts = page.getByRole("complementary", { name: "Attachments of this topic" }).locator("li")
      yield* from(async () => {
        await page.getByText("Nothing yet. Extractor plugins attach facts").waitFor()
        await writeMessage(page, "See https://example.com/a")
        await facts.getByText("found by collects test").waitFor()
      })
      yield* hub.post(`/api/v1/topics/${topic}/attachments`, { kind: "note", value_json: { by: "hand" } })
      yield* from(async () => {
        await facts.filter({ hasText: "note" }).waitFor()
        // The same from what the hub stores.
        await page.reload()
        await facts.getByText("found by collects test").waitFor()
        assert.strictEqual(await facts.filter({ hasText: "note" }).getByText("found by").count(), 0)
        await facts.getByRole("link", { name: "Go to the message" }).locator("time").click()
        await messageWith(page, "See https").and(page.locator(".target")).waitFor()
      })
      fine({ page, problems })
    })
  )

  it.live(
    "shows the attachments of a topic, and those that arrive, while their plugins are still unknown",
    () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        const { topic } = yield* makeTopic(hub)
        yield* jobsOf(hub, yield* post(hub, topic, "See https://example.com/a"))
        const { page, problems } = yield* signedIn(hub)
        const facts = page.getByRole("complementary", { name: "Attachments of this topic" }).locator("li")
        const attach = (kind: string) =>
          hub.post(`/api/v1/topics/${topic}/attachments`, { kind, value_json: { by: "hand" } })
        const gate = Promise.withResolvers<void>()
        yield* from(async () => {
          await page.route("**/api/v1/findings*", async (route) => {
            await gate.promise
            await route.continue()
          })
          await page.goto(hub.url + topicPath(topic))
          await facts.filter({ hasText: "example.com/a" }).waitFor()
        })
        yield* attach("first note")
        yield* from(async () => {
          await facts.filter({ hasText: "first note" }).waitFor()
          gate.resolve()
          await facts.getByText("found by collects test").waitFor()
          assert.strictEqual(await facts.count(), 2)
          // Without an answer about the plugins, the attachments stay.
          await page.unroute("**/api/v1/findings*")
          const refused = page.waitForEvent("requestfailed", (request) => request.url().includes("/findings"))
          await page.route("**/api/v1/findings*", (route) => route.abort())
          await page.reload()
          await refused
          await facts.filter({ hasText: "first note" }).waitFor()
          await facts.filter({ hasText: "example.com/a" }).waitFor()
        })
        fine({ page, problems })
      })
  )

  it.live("shows the attachments that it has read, even if they are asked for again in vain", () =>
    Effect.gen(function* () {
      const hub = yield* consoleHub()
      const { channel, topic } = yield* makeTopic(hub)
      const { body } = yield* hub.post("/api/v1/topics", { channel_id: channel, title: "other" })
      const moved = yield* post(hub, body.topic.id, "from elsewhere")
      yield* hub.post(`/api/v1/topics/${topic}/attachments`, { kind: "a note", value_json: { by: "hand" } })
      const { page } = yield* signedIn(hub)
      const gate = Promise.withResolvers<void>()
      const asked = Promise.withResolvers<void>()
      let isFirst = true
      yield* from(async () => {
        await page.route("**/api/v1/topics/*/attachments*", async (route) => {
          if (!isFirst) return route.abort()
          isFirst = false
          asked.resolve()
          await gate.promise
          await route.continue()
        })
        await page.goto(hub.url + topicPath(topic))
        await asked.promise
      })
      // The page follows the topic once it shows this.
      yield* post(hub, topic, "posted meanwhile")
      yield* from(async () => {
        await page.getByText("posted meanwhile").waitFor()
        const refused = page.waitForEvent("requestfailed", (request) =>
          request.url().includes("/attachments")
        )
        const move = await Effect.runPromise(
          hub.patch(`/api/v1/messages/${moved}`, {
            op: "move_topic",
            to_topic_id: topic,
            mode: "one"
          })
        )
        assert.strictEqual(move.status, 200, JSON.stringify(move.body))
        await refused
        gate.resolve()
        const facts = page.getByRole("complementary", { name: "Attachments of this topic" }).locator("li")
        await facts.filter({ hasText: "a note" }).waitFor()
      })
    })
  )

  it.live("marks topics with something new until they are read, also in the next visit", () =>
    Effect.gen(function* () {
      const hub = yield* consoleHub()
      const { channel, topic } = yield* makeTopic(hub)
      const { body } = yield* hub.post("/api/v1/topics", { channel_id: channel, title: "other" })
      const { page, problems } = yield* signedIn(hub, topicPath(topic))
      const directory = page.getByRole("navigation", { name: "Channels and topics" })
      const other = directory.locator("li li", { hasText: "other" })
      const unread = (name: string) =>
        directory.locator("li li", { hasText: name }).getByRole("img", { name: "unread" })
      yield* from(() => other.waitFor())
      yield* post(hub, body.topic.id, "something new")
      yield* from(async () => {
        await unread("other").waitFor()
        // The topic with the latest activity is the first one.
        assert.include(await directory.locator("li li").first().innerText(), "other")
        await page.reload()
        await unread("other").waitFor()
        await other.getByRole("link").click()
        await page.getByText("something new").waitFor()
        await unread("other").waitFor({ state: "detached" })
        await page.goto(hub.url + topicPath(topic))
        await other.waitFor()
        assert.strictEqual(await unread("other").count(), 0)
      })
      fine({ page, problems })
    })
  )

  it.live("keeps drafts, and is honest about a message that was not sent", () =>
    Effect.gen(function* () {
      const hub = yield* consoleHub()
      const { topic } = yield* makeTopic(hub)
      const { page, problems } = yield* signedIn(hub, topicPath(topic))
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
      fine({ page, problems })
      assert.strictEqual((yield* hub.rows("SELECT id FROM messages")).length, 1)
    })
  )

  it.live("stays small in a long topic, reads on in both directions, and goes to the message of a link", () =>
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
        await holds(page, `document.activeElement.id === ${JSON.stringify(ids[5_000])}`)
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
})
