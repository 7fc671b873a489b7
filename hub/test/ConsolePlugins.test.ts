import { CurrentRunObserver, ExecutionError, linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { urlOf } from "@agentlip/protocol"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Hub from "../src/Hub.ts"
import type { Request } from "playwright-core"
import { consoleHub, post, signedIn, topicPath } from "./consoleHub.ts"
import { describeInBrowser, fine, from, holds, messageWith, writeMessage } from "./consolePage.ts"
import {
  client,
  jobsOf,
  linkifierSpec,
  makeTopic,
  readServerFile,
  startHub,
  tempWorkspace
} from "./testHub.ts"

describeInBrowser("plugins in the console", () => {
  it.live("tells why a message was not enriched, and lets the circuit be closed and the job be retried", () =>
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
        // A run that an open circuit refused is neither good nor bad.
        await page.getByLabel("circuit_open").and(page.locator("meter.neutral")).waitFor()
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
        // The newest run failed: it is open.
        await run.getByText("<img src=x> careful").waitFor()
        await run.getByText("TypeError: it broke").waitFor()
        await run.getByText("version test").waitFor()
        await run.getByRole("link", { name: "this message" }).click()

        await page.locator("li.message summary").click()
        await page.getByRole("link", { name: "Try it in the playground" }).click()
        await holds(page, "document.querySelector('textarea').value === 'see 👩 OPS-42'")
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
        fs.writeFileSync(
          path.join(workspace, "draft.mjs"),
          source('return [{ kind: "ticket", span: { start: 4, end: 6 }, data: {} }]').replace(
            "tickets",
            "draft"
          )
        )
        await page.getByLabel("Path of the plugin's module").fill("./draft.mjs")
        await page.getByRole("button", { name: "Run" }).click()
        await page.getByRole("heading", { name: "draft 2.0.0: 1 enrichment" }).waitFor()
        await page.getByText("not in the config file, so with the default settings").waitFor()
        await page.locator(".finding", { hasText: /^👩$/ }).waitFor()
      })
      fine({ page, problems })
      assert.lengthOf(yield* hub.rows("SELECT id FROM messages"), 1)
    })
  )

  it.live("gives the focus to the run that the address names, once, or to the heading", () =>
    Effect.gen(function* () {
      const hub = yield* consoleHub()
      const { topic } = yield* makeTopic(hub)
      const id = yield* post(hub, topic, "boom")
      yield* jobsOf(hub, id)
      const { page, problems } = yield* signedIn(hub, `/ui/plugins/breaks#${id}`)
      const runs = page.locator(".runs > li")
      const box = page.getByLabel("only failed")
      yield* from(async () => {
        await runs.locator("summary:focus").waitFor()
        await box.focus()
      })
      yield* hub.post("/api/v1/jobs/retry", {})
      yield* from(async () => {
        await runs.nth(1).waitFor()
        assert.isTrue(await box.evaluate((box) => box === box.ownerDocument.activeElement))
        // A run that the hub does not remember.
        await page.goto(`${hub.url}/ui/plugins/breaks#forgotten`)
        await page.getByText("does not remember its run").waitFor()
        await page.locator("#view-title:focus").waitFor()
      })
      fine({ page, problems })
    })
  )

  it.live("shows the newest reason of a failure, and scrolls to the first of several, once", () =>
    Effect.gen(function* () {
      let count = 0
      const fails = (plugin: string) => () =>
        Effect.suspend(() =>
          Effect.fail(
            new ExecutionError({
              plugin,
              cause: { name: "Error", message: `failure ${++count} of ${plugin}` }
            })
          )
        )
      const hub = yield* startHub({
        plugins: [linkifierSpec("first"), linkifierSpec("second")],
        fakes: { first: fails("first"), second: fails("second") }
      })
      const { topic } = yield* makeTopic(hub)
      yield* jobsOf(hub, yield* post(hub, topic, "anything"))
      const { page, problems } = yield* signedIn(hub, topicPath(topic))
      const message = messageWith(page, "anything")
      const newest = message.locator(".plugin-problem")
      const gate = Promise.withResolvers<void>()
      const late: Array<Request> = []
      yield* from(async () => {
        await page.evaluate(`(() => {
            globalThis.scrolls = 0
            const scroll = Element.prototype.scrollIntoView
            HTMLDivElement.prototype.scrollIntoView = function (options) {
              globalThis.scrolls++
              scroll.call(this, options)
            }
          })()`)
        // The first answer about each plugin arrives last.
        const held = new Set<string>()
        await page.route("**/api/v1/plugins/*/runs", async (route) => {
          const url = route.request().url()
          if (held.has(url)) return route.continue()
          held.add(url)
          const response = await route.fetch()
          late.push(route.request())
          await gate.promise
          await route.fulfill({ response })
        })
        await message.locator("summary", { hasText: "2 plugins: failed" }).click()
        for (const name of ["first", "second"]) await message.getByText(`of ${name}`).first().waitFor()
        while (late.length < 2) await page.waitForTimeout(20)
      })
      yield* hub.post("/api/v1/jobs/retry", {})
      yield* from(async () => {
        await newest.getByText(/failure [34] of first/).waitFor()
        await newest.getByText(/failure [34] of second/).waitFor()
        gate.resolve()
        for (const request of late) await (await request.response())?.finished()
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        assert.strictEqual(await newest.getByText(/failure [12] of/).count(), 0)
        assert.strictEqual(await page.evaluate("globalThis.scrolls"), 1)
      })
      fine({ page, problems })
    })
  )

  it.live("shows how often a plugin runs, and how its runs end; pauses and resumes a backfill", () =>
    Effect.gen(function* () {
      const stuck = yield* Deferred.make<void>()
      let isStuck = false
      const hub = yield* startHub({
        plugins: [linkifierSpec("links")],
        fakes: {
          links: () => Effect.andThen(isStuck ? Deferred.await(stuck) : Effect.void, Effect.succeed([]))
        }
      })
      const { topic } = yield* makeTopic(hub)
      for (let n = 0; n < 80; n++) yield* post(hub, topic, `message ${n}`)
      const { page, problems } = yield* signedIn(hub, "/ui/plugins/links")
      yield* from(async () => {
        await page.locator(".outcomes li", { hasText: "ok" }).getByText("80 (100.0 %)").waitFor()
        await page.getByRole("row", { name: /^run 80 / }).waitFor()
        await page.getByRole("img", { name: "Runs a minute" }).waitFor()
        isStuck = true
        await page.getByRole("button", { name: "Run on all messages" }).click()
        await page.getByText("Backfill of").waitFor()
        await page.getByRole("link", { name: "Jobs" }).click()
        const backfill = page.locator("li.row", { hasText: "links" })
        await backfill.getByText("running,").waitFor()
        await page.getByRole("link", { name: "this message" }).first().waitFor()
        await backfill.getByRole("button", { name: "Pause" }).click()
        await backfill.getByText("paused,").waitFor()
      })
      isStuck = false
      yield* Deferred.succeed(stuck, undefined)
      yield* from(async () => {
        const backfill = page.locator("li.row", { hasText: "links" })
        await backfill.getByRole("button", { name: "Resume" }).click()
        await backfill.getByText("done,").waitFor()
        await page.getByText("No such jobs.").waitFor()
        // Filters choose the jobs that are listed.
        await page.getByLabel("empty").check()
        await page.getByRole("link", { name: "this message" }).first().waitFor()
        await page.getByRole("link", { name: "Health" }).click()
        await page.getByText("responds").waitFor()
        await page.locator("dl > div", { hasText: "live clients" }).getByText("1").waitFor()
        await page.locator("dl > div", { hasText: "memory" }).getByText("MiB").waitFor()
      })
      fine({ page, problems })
    })
  )

  it.live("shows what a plugin in audit mode used, with the lines to paste", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const file = path.join(workspace, "reads.mjs")
      // Whom plugins run as may have to be let in.
      fs.chmodSync(workspace, 0o755)
      fs.writeFileSync(path.join(workspace, "words.txt"), "words")
      fs.writeFileSync(
        file,
        `import * as fs from "node:fs"
export default {
  name: "reads", version: "1.0.0",
  enrich: () => (fs.readFileSync(${JSON.stringify(path.join(workspace, "words.txt"))}), [])
}
`
      )
      const spec = makeSpec({
        name: "reads",
        kind: linkifier,
        modulePath: file,
        isolation: "process",
        enforcement: "audit"
      })
      yield* Layer.build(Hub.live({ workspace, plugins: [spec], rateLimits: false }))
      const server = readServerFile(workspace)
      const url = urlOf(server)
      const hub = { url, token: server.auth_token, ...client(url, server.auth_token) }
      const { topic } = yield* makeTopic(hub)
      const [job] = yield* jobsOf(hub, yield* post(hub, topic, "anything"))
      assert.strictEqual(job.state, "empty")
      const { page, problems } = yield* signedIn(hub, "/ui/plugins/reads")
      yield* from(async () => {
        await page.getByText("To enforce its grants").waitFor()
        await page.getByText('grants: { read: ["./words.txt"] }').waitFor()
        await page.getByRole("link", { name: "Try it on a text" }).click()
        await page.getByLabel("Text", { exact: true }).fill("anything")
        await page.getByRole("button", { name: "Run" }).click()
        await page.getByText("write in its entry of the config file").waitFor()
        await page.getByText('grants: { read: ["./words.txt"] }').waitFor()
      })
      fine({ page, problems })
    })
  )
})
