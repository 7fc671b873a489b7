import { linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { urlOf } from "@agentlip/protocol"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import type { Page } from "playwright-core"
import { agentlip, shows } from "./hubProcess.ts"
import { linkTo, newPage, startBrowser } from "./browser.ts"
import { consoleHub, post, signedIn, topicPath } from "./consoleHub.ts"
import { describeInBrowser, fine, from, holds, writeMessage } from "./consolePage.ts"
import { client, readServerFile, eventually, jobsOf, makeTopic, startHub, tempWorkspace } from "./testHub.ts"

const item = (page: Page, id: string) => page.locator(`li[id="${id}"]`)

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

describeInBrowser("the console in Chromium", () => {
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
        await page.getByRole("option", { name: "breaks plugin", exact: true }).waitFor()
        await page.keyboard.press("Enter")
        await page.getByRole("heading", { name: "breaks" }).waitFor()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("pause brea")
        await page.getByRole("option", { name: "Pause breaks" }).waitFor()
        await page.keyboard.press("Enter")
        await page.getByText("open: paused").waitFor()
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

  it.live("takes the keys that follow a key which opens something", () =>
    Effect.gen(function* () {
      const hub = yield* consoleHub()
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "to be edited")
      const { page, problems } = yield* signedIn(hub, topicPath(topic))
      /** Where the next letter goes: before the browser draws, which a busy machine does late. */
      const focusAfter = (key: string, on = "", ctrlKey = false) =>
        page.evaluate<string>(`(async () => {
            const target = document.getElementById(${JSON.stringify(on)}) ?? document.body
            target.focus()
            target.dispatchEvent(new KeyboardEvent("keydown", ${JSON.stringify({ key, ctrlKey, bubbles: true })}))
            for (let turn = 0; turn < 20; turn++) await Promise.resolve()
            return document.activeElement?.getAttribute("aria-label") ?? ""
          })()`)
      yield* from(async () => {
        await page.getByText("to be edited").waitFor()
        assert.strictEqual(await focusAfter("e", id), "Text of the message")
        await page.keyboard.press("Escape")
        await page.getByLabel("Text of the message").waitFor({ state: "detached" })
        assert.strictEqual(await focusAfter("k", "", true), "Go to a topic, a plugin or a view")
        await page.keyboard.press("Escape")
        await page.getByRole("dialog").waitFor({ state: "detached" })
        assert.strictEqual(await focusAfter("/", ""), "Search messages and attachments")
      })
      fine({ page, problems })
    })
  )

  it.live("runs a command once, and goes nowhere if its dialog was closed meanwhile", () =>
    Effect.gen(function* () {
      const hub = yield* consoleHub()
      const { page, problems } = yield* signedIn(hub)
      const gate = Promise.withResolvers<void>()
      let commands = 0
      yield* from(async () => {
        await page.route("**/trip", async (route) => {
          commands++
          await gate.promise
          await route.continue()
        })
        await page.keyboard.press("Control+k")
        await page.keyboard.type("pause brea")
        await page.getByRole("option", { name: "Pause breaks" }).waitFor()
        const asked = page.waitForRequest("**/trip")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        await asked
        await page.keyboard.press("Escape")
        await page.getByRole("dialog").waitFor({ state: "detached" })
        const answered = page.waitForResponse("**/trip")
        gate.resolve()
        await (await answered).finished()
        // Once the page knows of it, a new palette offers the opposite.
        await page.keyboard.press("Control+k")
        await page.keyboard.type("close")
        await page.getByRole("option", { name: "Close the circuit of breaks" }).waitFor()
        assert.strictEqual(commands, 1)
        assert.strictEqual(new URL(page.url()).pathname, "/ui")
      })
      fine({ page, problems })
    })
  )

  it.live("says what failed on the way from an empty hub to its first topic, also on a phone", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { page, problems } = yield* signedIn(hub, "/ui", { viewport: { width: 360, height: 740 } })
      yield* from(async () => {
        const gate = Promise.withResolvers<void>()
        await page.route("**/api/v1/topics", async (route) => {
          await gate.promise
          await route.fulfill({
            status: 503,
            contentType: "application/json",
            body: JSON.stringify({ error: "The disk is full", code: "SERVICE_UNAVAILABLE" })
          })
        })
        const create = page.getByRole("button", { name: /Create the channel/ })
        await create.click()
        // The channel exists, and the topic does not yet.
        await create.waitFor({ state: "detached" })
        gate.resolve()
        await page.getByRole("alert").getByText("The disk is full").waitFor()
      })
      fine({ page, problems })
    })
  )

  it.live("fits its reader: zone, language and direction of texts, width of the window, no motion", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({
        plugins: [
          makeSpec({ name: "links", kind: linkifier, modulePath: "/fake/links.ts", timeout: "5 minutes" })
        ],
        fakes: { links: () => Effect.never }
      })
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "שלום! 👩‍💻 مرحبا")
      const [{ created_at }] = yield* hub.rows(`SELECT created_at FROM messages WHERE id = '${id}'`)
      const timeIn = (timeZone: string) =>
        new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone }).format(
          new Date(created_at)
        )
      const running = "document.querySelector('.dot.pending').getAnimations().length"
      for (const [timezoneId, reducedMotion, width] of [
        ["Pacific/Kiritimati", "reduce", 360],
        ["America/Caracas", "no-preference", 2_560]
      ] as const) {
        const options = { timezoneId, reducedMotion, locale: "en-GB", viewport: { width, height: 900 } }
        const { page, problems } = yield* signedIn(hub, topicPath(topic), options)
        yield* from(async () => {
          const message = item(page, id)
          await message.locator(".dot.pending").first().waitFor()
          assert.strictEqual(await message.locator("time").first().innerText(), timeIn(timezoneId))
          const text = message.locator(".text")
          assert.strictEqual(
            await page.evaluate(`getComputedStyle(document.querySelector(".message .text")).direction`),
            "rtl"
          )
          assert.strictEqual(await text.innerText(), "שלום! 👩‍💻 مرحبا")
          assert.strictEqual(await page.evaluate(running), reducedMotion === "reduce" ? 0 : 1)
          assert.isAtMost(await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth"), 0)
        })
        fine({ page, problems })
      }
    })
  )

  it.live("covers no text with the buttons of a message, on a phone or under a pointer", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const ids = [yield* post(hub, topic, "first"), yield* post(hub, topic, "W".repeat(100))]
      for (const hasTouch of [false, true]) {
        const options = { viewport: { width: 360, height: 740 }, hasTouch, isMobile: hasTouch }
        const { page, problems } = yield* signedIn(hub, topicPath(topic), options)
        yield* from(async () => {
          const message = item(page, ids[1] ?? "")
          const edit = message.getByRole("button", { name: "Edit" })
          await (hasTouch ? message.tap() : message.hover())
          // Letters do not fill their line.
          await holds(
            page,
            `(() => {
              const [buttons, text] = [".actions", ".text"].map((part) =>
                document.getElementById(${JSON.stringify(ids[1])}).querySelector(part).getBoundingClientRect())
              return buttons.width > 50 && (buttons.bottom <= text.top + 6 || buttons.top >= text.bottom)
            })()`
          )
          await edit.click()
          await page.getByLabel("Text of the message").waitFor()
        })
        fine({ page, problems })
      }
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
      const { page, problems } = yield* newPage(browser)
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
      fine({ page, problems })
    })
  )

  it.live("says that the hub is away", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const hub = yield* Effect.provideService(consoleHub(), Scope.Scope, scope)
      const { topic } = yield* makeTopic(hub)
      yield* post(hub, topic, "still here")
      const { page, problems } = yield* signedIn(hub, topicPath(topic))
      yield* from(() => page.getByText("still here").waitFor())
      yield* Scope.close(scope, Exit.void)
      yield* from(async () => {
        await page.getByText("Connection lost").waitFor()
        await page.getByText("still here").waitFor()
        await writeMessage(page, "into the void")
        await page.getByText("not sent").waitFor()
      })
      fine({ page, problems })
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

  for (const [how, options] of [
    ["light", { colorScheme: "light" }],
    ["dark", { colorScheme: "dark" }],
    ["narrow", { viewport: { width: 360, height: 740 } }]
  ] as const) {
    it.live(`has no serious accessibility problem on any view: ${how}`, () =>
      Effect.gen(function* () {
        const hub = yield* consoleHub()
        // The audit adds its own script to the page, which the page's policy refuses.
        const { page } = yield* signedIn(hub, "/ui", { ...options, bypassCSP: true })
        const audit = async (what: string): Promise<void> => {
          await page.addScriptTag({ content: axe })
          const found = await page.evaluate<ReadonlyArray<string>>(`axe.run().then(({ violations }) =>
              violations.filter(({ impact }) => impact === "serious" || impact === "critical")
                .map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 200)).join(" | ")))`)
          assert.deepStrictEqual(found, [], what)
          const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth")
          assert.isAtMost(wide, 0, what)
        }
        yield* from(async () => {
          await page.getByRole("button", { name: /Create the channel/ }).waitFor()
          await audit("an empty hub")
        })
        const { topic } = yield* makeTopic(hub)
        const ids = [
          yield* post(hub, topic, "See https://example.com/a in the release 👩 notes"),
          yield* post(hub, topic, "boom مرحبا")
        ]
        for (const id of ids) yield* jobsOf(hub, id)
        yield* hub.post(`/api/v1/topics/${topic}/attachments`, { kind: "note", value_json: { a: 1 } })
        // What each view shows at last.
        const views: ReadonlyArray<readonly [string, string]> = [
          [topicPath(topic), "breaks failed"],
          ["/ui", "general"],
          ["/ui/search#q=release+OR+boom", "2 results"],
          ["/ui/search#q=release+(", "release"],
          ["/ui/plugins", "breaks"],
          ["/ui/plugins/breaks", "it went <b>boom</b>"],
          ["/ui/playground", "breaks"],
          ["/ui/module", "a file of the workspace"],
          ["/ui/jobs", "this message"],
          ["/ui/events", "message.created"],
          ["/ui/health", "responds"]
        ]
        yield* from(async () => {
          for (const [view, text] of views) {
            await page.goto(hub.url + view)
            await page.locator("main").getByText(text).first().waitFor({ state: "attached" })
            await audit(view)
          }
          for (const [key, name] of [
            ["Control+k", "Go to"],
            ["?", "Keyboard"]
          ] as const) {
            await page.keyboard.press(key)
            await page.getByRole("dialog", { name }).waitFor()
            if (name === "Go to") await page.getByRole("option", { name: "breaks plugin" }).waitFor()
            await audit(name)
            await page.keyboard.press("Escape")
            await page.getByRole("dialog").waitFor({ state: "detached" })
          }
        })
      })
    )
  }

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
})
