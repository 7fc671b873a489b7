/** The way of a person who has never seen the console: posts, breaks a plugin, finds out why, and repairs it. */
import { assert, it } from "@effect/vitest"
import { urlOf } from "@agentlip/protocol"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { linkTo, newPage, startBrowser } from "./browser.ts"
import { describeInBrowser, fine, from, holds, messageWith, writeMessage } from "./consolePage.ts"
import { agentlip, shows } from "./hubProcess.ts"
import { readServerFile, tempWorkspace } from "./testHub.ts"

const source = (version: string, body: string) => `export default {
  name: "tags", version: "${version}",
  enrich({ message: { content_raw } }) {
    ${body}
  }
}
`
const good = (version: string) =>
  source(
    version,
    `return [...content_raw.matchAll(/#\\w+/g)].map(({ 0: text, index }) =>
      ({ kind: "tag", span: { start: index, end: index + text.length }, data: {} }))`
  )
const throwing = source("2.0.0", "return content_raw.groups.tag")
const hanging = source("3.0.0", "while (true) {}")
const invalid = source("4.0.0", "return [")
const entry = { name: "tags", modulePath: "./tags.mjs", isolation: "thread" }

const running = Effect.gen(function* () {
  const workspace = yield* tempWorkspace
  const save = (name: string, text: string): void => {
    // As editors do: at no moment is there half a file.
    fs.writeFileSync(path.join(workspace, `${name}.new`), text)
    fs.renameSync(path.join(workspace, `${name}.new`), path.join(workspace, name))
  }
  const saveConfig = (...entries: ReadonlyArray<object>) =>
    save("agentlip.config.mjs", `export default { linkifiers: ${JSON.stringify(entries)} }`)
  save("tags.mjs", good("1.0.0"))
  saveConfig(entry)
  const program = yield* agentlip("up", "--workspace", workspace)
  yield* shows(program, "ok      linkifier tags")
  const server = readServerFile(workspace)
  return { save, saveConfig, program, url: urlOf(server), token: server.auth_token }
})

describeInBrowser("a newcomer with the console", () => {
  it.live("posts, breaks a plugin, finds out why from the page alone, and sees it work again", () =>
    Effect.gen(function* () {
      const hub = yield* running
      const { save, program } = hub
      const browser = yield* startBrowser
      const watched = yield* newPage(browser)
      const { page } = watched
      const link = yield* linkTo(hub)
      const found = (text: string) => page.locator(".finding", { hasText: text })
      const status = (text: string) => messageWith(page, text).locator("summary")
      yield* from(async () => {
        await page.goto(link)
        await page.getByText("This hub is empty").waitFor()
        await page.getByRole("button", { name: /Create the channel/ }).click()
        await page.getByText("Nothing was said here yet").waitFor()
        await writeMessage(page, "Ready for #release")
        await found("#release").waitFor()
      })

      save("tags.mjs", throwing)
      yield* shows(program, "its module has changed: version 2.0.0")
      yield* from(async () => {
        for (const text of ["one", "two", "three"]) {
          await writeMessage(page, `broken #${text}`)
          await status(`#${text}`).filter({ hasText: "tags failed" }).waitFor()
        }
        // The reason opens at the end of the list, and is scrolled into sight.
        await page.setViewportSize({ width: 1280, height: 420 })
        await status("#three").click()
        await messageWith(page, "#three").getByText("return content_raw.groups.tag").waitFor()
        await holds(
          page,
          `(() => {
            const code = document.querySelector("li.message:last-of-type figure pre")
            const composer = document.querySelector("#composer")
            return code.getBoundingClientRect().bottom <= composer.getBoundingClientRect().top
          })()`
        )
        await status("#three").click()
        await page.setViewportSize({ width: 1280, height: 720 })
        await writeMessage(page, "broken #four")
        await status("#four").filter({ hasText: "tags waiting" }).waitFor()
        // One click shows the reason, with the place in the code.
        await status("#one").click()
        const one = messageWith(page, "#one")
        await one.getByText("TypeError: Cannot read properties of undefined").waitFor()
        await one.getByText("return content_raw.groups.tag").waitFor()
        await one.getByText(/tags\.mjs:4:\d+/).waitFor()
        await status("#four").click()
        await messageWith(page, "#four").getByText("Its latest failure:").waitFor()
      })

      save("tags.mjs", hanging)
      yield* shows(program, "its module has changed: version 3.0.0")
      yield* from(async () => {
        await messageWith(page, "#four").getByRole("button", { name: "Close the circuit" }).click()
        await status("#four").filter({ hasText: "tags failed" }).waitFor()
        await messageWith(page, "#four").getByText("did not answer after 5 s").waitFor()
        await messageWith(page, "#four").getByRole("link", { name: "tags" }).click()
        // The newest failed run is open.
        await page.locator(".runs").getByText("raise `timeout`").waitFor()
      })

      save("tags.mjs", invalid)
      yield* from(async () => {
        await page.getByText("Its files do not load as they are now").waitFor()
        await page.locator(".notice").getByText("return [").waitFor()
      })
      save("tags.mjs", good("5.0.0"))
      yield* shows(program, "its module has changed: version 5.0.0")
      yield* from(async () => {
        await page.getByText("Its files do not load as they are now").waitFor({ state: "detached" })
        await page.getByText("Repaired it?").waitFor()
        await page.getByRole("button", { name: "Retry failed jobs" }).click()
        await page.getByText("4 jobs run again.").waitFor()
        await page.getByRole("link", { name: "Messages" }).click()
        await page.getByRole("link", { name: "hello" }).click()
        for (const text of ["#one", "#two", "#three", "#four"]) await found(text).waitFor()
        // The card of a finding leads to its run.
        await found("#four").hover()
        await page
          .getByRole("group", { name: "Findings" })
          .getByRole("link", { name: "its run" })
          .locator("time")
          .click()
        const run = page.locator(".runs > li", { has: page.locator("summary:focus") })
        await run.getByText("version 5.0.0").waitFor()
      })

      hub.saveConfig({ ...entry, nmae: "x" })
      yield* from(async () => {
        await page.getByRole("link", { name: "All plugins" }).click()
        await page.getByText("The config file cannot be used").waitFor()
        await page.getByText('is not a known key; did you mean "name"?').waitFor()
      })
      hub.saveConfig(entry)
      yield* from(() => page.getByText("The config file cannot be used").waitFor({ state: "detached" }))
      fine(watched)
      assert.isFalse(yield* from(async () => page.isClosed()))
    })
  )
})
