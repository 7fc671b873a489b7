/**
 * `npm run docs:screenshots`: takes the pictures of the console that the documents show, from a real hub with plugins that
 * work and one that fails. With a folder, takes a picture of every view in it: light, dark, 360 and 2560 pixels wide.
 *
 *   npm run docs:screenshots -- /tmp/pictures
 */
import { type ConfiguredSpec, extractor, linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { parseServerFile, urlOf } from "@agentlip/protocol"
import { Effect, Layer } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type BrowserContextOptions, chromium, type Page } from "playwright-core"
import * as Hub from "../hub/src/Hub.ts"

const images = fileURLToPath(new URL("../docs/images/", import.meta.url))
const shipped = (name: string) => fileURLToPath(new URL(`../plugins/src/${name}.ts`, import.meta.url))

const tickets = `export default {
  name: "tickets", version: "1.4.0",
  enrich({ message }, { log }) {
    log.info("looking at " + message.content_raw.length + " characters")
    return [...message.content_raw.matchAll(/\\b[A-Z]{2,10}-\\d+\\b/g)].map((match) => ({
      kind: "ticket",
      span: { start: match.index, end: match.index + match[0].length },
      data: { id: match[0], title: "Deploys wait for the cache" }
    }))
  }
}
`

const weather = `export default {
  name: "weather", version: "0.2.0",
  enrich({ message }, { log }) {
    if (!message.content_raw.includes("weather")) return []
    log.warn("no forecast for today")
    const forecast = undefined
    return forecast.days.map((day) => ({ kind: "forecast", span: day.span, data: {} }))
  }
}
`

const texts: ReadonlyArray<readonly [string, string]> = [
  ["ada", "The release goes out at noon. OPS-42 is the last blocker."],
  ["ada", "Notes are at https://example.com/notes/release-7"],
  ["grace", "@ada the cache is warm again, see https://status.example.com and OPS-51."],
  ["agent-7", "Ran the smoke tests: 128 passed. DECIDED: we ship today"],
  ["lin", "שלום! Is OPS-42 closed? مرحبا"],
  ["lin", "What is the weather for the party?"],
  ["ada", "OPS-42 is closed. Ship it."]
]

const specs = (workspace: string): ReadonlyArray<ConfiguredSpec> => {
  const own = (name: string, source: string): string => {
    const file = path.join(workspace, "plugins", `${name}.mjs`)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, source)
    return file
  }
  const isolation = "thread" as const
  return [
    makeSpec({ name: "tickets", kind: linkifier, modulePath: own("tickets", tickets), isolation }),
    makeSpec({ name: "weather", kind: linkifier, modulePath: own("weather", weather), isolation }),
    makeSpec({ name: "urls", kind: linkifier, modulePath: shipped("url-linkifier"), isolation }),
    makeSpec({ name: "mentions", kind: linkifier, modulePath: shipped("mention-linkifier"), isolation }),
    makeSpec({ name: "links", kind: extractor, modulePath: shipped("url-extractor"), isolation })
  ]
}

interface Scene {
  readonly url: string
  readonly topic: string
  readonly weather: string
  readonly link: () => Promise<string>
}

const populate = async (workspace: string): Promise<Scene> => {
  const parsed = parseServerFile(fs.readFileSync(path.join(workspace, ".agentlip", "server.json"), "utf8"))
  if ("problem" in parsed) throw new Error(parsed.problem)
  const url = urlOf(parsed.server)
  const headers = { authorization: `Bearer ${parsed.server.auth_token}`, "content-type": "application/json" }
  // oxlint-disable-next-line typescript/no-explicit-any -- the answers of a hub of this very source
  const json = async (response: Response): Promise<any> => response.json()
  const post = async (route: string, body: object) =>
    json(await fetch(url + route, { method: "POST", headers, body: JSON.stringify(body) }))
  const { channel } = await post("/api/v1/channels", { name: "general" })
  await post("/api/v1/channels", { name: "operations" })
  await post("/api/v1/topics", { channel_id: channel.id, title: "party" })
  const { topic } = await post("/api/v1/topics", { channel_id: channel.id, title: "release 7" })
  let weather = ""
  for (const [sender, content_raw] of texts) {
    const { message } = await post("/api/v1/messages", { topic_id: topic.id, sender, content_raw })
    if (content_raw.includes("weather")) weather = message.id
  }
  for (let open = true; open; ) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const { jobs } = await json(await fetch(`${url}/api/v1/jobs?state=pending`))
    open = jobs.length > 0
  }
  const link = async () => url + (await post("/api/v1/console/links", {})).path
  return { url, topic: topic.id, weather, link }
}

const browserFile = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (file) => fs.existsSync(process.env["CHROMIUM"] ?? file)
)

/** What to do on a view before its picture is taken. */
type Prepare = (page: Page, scene: Scene) => Promise<void>

const noCard: Prepare = async (page) => page.mouse.move(0, 0)

const showCard: Prepare = async (page) => {
  await page
    .locator(".finding", { hasText: /^OPS-42$/ })
    .first()
    .hover()
  await page.getByRole("group", { name: "Findings" }).waitFor()
}

const tryIt: Prepare = async (page) => {
  await page.getByRole("button", { name: "Run" }).click()
  await page.locator(".dry-run").waitFor({ timeout: 60_000 })
}

const openRun: Prepare = async (page) => {
  await page.getByLabel("only failed").check()
  await page.locator(".runs summary").first().click()
  await page.getByRole("heading", { name: "Latest runs" }).evaluate((heading) => heading.scrollIntoView())
}

const press =
  (key: string): Prepare =>
  (page) =>
    page.keyboard.press(key)

/** Every view: the name of its picture, its address, and what to do there. */
const views = ({ topic, weather }: Scene): ReadonlyArray<readonly [string, string, Prepare]> => [
  ["messages", `/ui/topics/${topic}`, showCard],
  [
    "why",
    `/ui/topics/${topic}`,
    async (page) => page.locator("li.message summary", { hasText: "weather" }).click()
  ],
  ["home", "/ui", noCard],
  ["plugins", "/ui/plugins", noCard],
  ["plugin", "/ui/plugins/weather", openRun],
  [
    "playground",
    "/ui/playground/tickets",
    async (page, scene) => {
      await page.getByLabel("Text", { exact: true }).fill("OPS-42 is closed, and so is OPS-7.")
      await tryIt(page, scene)
    }
  ],
  [
    "playground-error",
    `/ui/playground/weather#${weather}`,
    async (page, scene) => {
      await page.waitForFunction("document.querySelector('textarea').value.includes('weather')")
      await tryIt(page, scene)
    }
  ],
  ["search", "/ui/search#q=release+OR+cache", noCard],
  ["jobs", "/ui/jobs", noCard],
  ["events", "/ui/events", noCard],
  ["health", "/ui/health", noCard],
  ["palette", `/ui/topics/${topic}`, press("Control+k")],
  ["keys", `/ui/topics/${topic}`, press("?")]
]

const settings: { readonly [name: string]: BrowserContextOptions } = {
  light: { colorScheme: "light", viewport: { width: 1200, height: 760 } },
  dark: { colorScheme: "dark", viewport: { width: 1200, height: 760 } },
  narrow: { colorScheme: "light", viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
  wide: { colorScheme: "light", viewport: { width: 2560, height: 1200 } }
}

/** Those that the documents show. */
const shown = ["messages-light", "playground-error-light", "plugin-dark"]

const take = async (workspace: string, folder: string | undefined): Promise<void> => {
  const scene = await populate(workspace)
  const browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? browserFile ?? "chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"]
  })
  for (const [setting, options] of Object.entries(settings)) {
    const context = await browser.newContext({
      ...options,
      reducedMotion: "reduce",
      locale: "en-GB",
      timezoneId: "UTC"
    })
    const page = await context.newPage()
    await page.goto(await scene.link())
    await page.getByRole("button", { name: "Sign out" }).waitFor()
    for (const [name, address, prepare] of views(scene)) {
      const picture = `${name}-${setting}`
      if (folder === undefined && !shown.includes(picture)) continue
      // Another document, so that the view begins anew.
      await page.goto("about:blank")
      await page.goto(scene.url + address)
      await page.locator("#view-title").waitFor({ state: "attached" })
      await page.locator("main").getByText(/./).filter({ visible: true }).first().waitFor()
      await page.waitForTimeout(500)
      await prepare(page, scene)
      await page.waitForTimeout(400)
      await page.screenshot({ path: path.join(folder ?? images, `${picture}.png`) })
    }
    await context.close()
  }
  await browser.close()
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2)
  fs.mkdirSync(folder ?? images, { recursive: true })
  const workspace = fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-"))
  const hub = Layer.build(Hub.live({ workspace, plugins: specs(workspace) }))
  await Effect.runPromise(
    Effect.scoped(
      Effect.andThen(
        hub,
        Effect.promise(() => take(workspace, folder))
      )
    )
  )
  fs.rmSync(workspace, { recursive: true, force: true })
}
