/**
 * `npm run bench:console`: the web console in Chromium, with a topic of 10,000 messages and 100 posts a second, each of
 * which a plugin enriches. Prints how long the page takes to show its first content, long tasks, frame times, and how many
 * DOM nodes there are. `--seconds N` (10) and `--messages N` (10,000) change the load.
 */
import * as fs from "node:fs"
import { Agent } from "node:http"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { gzipSync } from "node:zlib"
import { type Browser, chromium, type Page } from "playwright-core"
import { sleep } from "./figures.ts"
import { call, type Hub, startHub } from "./hub.ts"
import { quantile } from "./stats.ts"

const { values: options } = parseArgs({
  options: { seconds: { type: "string", default: "10" }, messages: { type: "string", default: "10000" } }
})
const seconds = Number(options.seconds)
const count = Number(options.messages)
const perSecond = 100

const say = (text: string): void => void process.stdout.write(`${text}\n`)

const agent = new Agent({ keepAlive: true, maxSockets: 16 })

interface Made {
  readonly id: string
}

const postTo = (hub: Hub, topic: Made, content_raw: string) =>
  call<{ readonly message: Made }>(agent, hub, "POST", "/api/v1/messages", {
    topic_id: topic.id,
    sender: `s${content_raw.length % 7}`,
    content_raw
  })

/** Copies a posted message into the database, as often as asked, with ids before its own. */
const fill = async (hub: Hub): Promise<Made> => {
  const { channel } = await call<{ readonly channel: Made }>(agent, hub, "POST", "/api/v1/channels", {
    name: "general"
  })
  const { topic } = await call<{ readonly topic: Made }>(agent, hub, "POST", "/api/v1/topics", {
    channel_id: channel.id,
    title: "long"
  })
  const { message } = await postTo(hub, topic, "the first post, see https://example.com")
  const database = new DatabaseSync(path.join(hub.workspace, ".agentlip", "db.sqlite3"))
  database.exec("PRAGMA busy_timeout = 10000")
  const columns = database
    .prepare("SELECT name FROM pragma_table_info('messages')")
    .all()
    .map(({ name }) => String(name))
  const values = columns.map((name) =>
    name === "id"
      ? "printf('0000%013x', n)"
      : name === "content_raw"
        ? "'message ' || n || '. Lorem ipsum dolor sit amet, https://example.com/' || n"
        : name
  )
  database.exec(`WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})
    INSERT INTO messages (${columns.join(", ")})
    SELECT ${values.join(", ")} FROM numbers, (SELECT * FROM messages WHERE id = '${message.id}')`)
  database.close()
  return topic
}

/** Posts at a steady rate until it is stopped. */
const startPosting = (hub: Hub, topic: Made): (() => Promise<number>) => {
  let posted = 0
  const over = new AbortController()
  const begin = performance.now()
  const work = (async () => {
    while (!over.signal.aborted) {
      const due = Math.floor(((performance.now() - begin) / 1000) * perSecond)
      const some = Array.from({ length: Math.min(20, due - posted) }, () =>
        postTo(hub, topic, `live ${posted++}, see https://example.com/live`)
      )
      await Promise.all(some)
      await sleep(5)
    }
  })()
  return async () => {
    over.abort()
    await work
    return (posted / (performance.now() - begin)) * 1000
  }
}

/** Runs in the page: collects long tasks and the times between frames. */
const watch = `
  window.seen = { tasks: [], frames: [] }
  new PerformanceObserver((list) => { for (const { duration } of list.getEntries()) seen.tasks.push(duration) })
    .observe({ type: "longtask" })
  let last
  const frame = (now) => { if (last !== undefined) seen.frames.push(now - last); last = now; requestAnimationFrame(frame) }
  requestAnimationFrame(frame)
`

interface Seen {
  readonly tasks: ReadonlyArray<number>
  readonly frames: ReadonlyArray<number>
}

const rounded = (value: number): number => Math.round(value * 10) / 10

/** Watches the page during some work, and prints what it saw. */
const during = async (page: Page, what: string, work: () => Promise<void>): Promise<void> => {
  const session = await page.context().newCDPSession(page)
  await session.send("Performance.enable")
  const metrics = async () => {
    const { metrics } = await session.send("Performance.getMetrics")
    return new Map(metrics.map(({ name, value }) => [name, value]))
  }
  await page.evaluate("seen.tasks = []; seen.frames = []")
  const before = await metrics()
  await work()
  const after = await metrics()
  const took = (name: string): string =>
    `${Math.round(((after.get(name) ?? 0) - (before.get(name) ?? 0)) * 1000)} ms`
  const { tasks, frames } = await page.evaluate<Seen>("seen")
  const nodes = await page.evaluate<number>("document.querySelectorAll('*').length")
  const sorted = frames.toSorted((one, other) => one - other)
  say(
    `${what}: ${frames.length} frames, p50 ${rounded(quantile(sorted, 0.5))} ms, p99 ${rounded(quantile(sorted, 0.99))} ms, most ${rounded(sorted.at(-1) ?? 0)} ms; ` +
      `${tasks.length} long tasks, ${rounded(tasks.reduce((sum, task) => sum + task, 0))} ms in all; ${nodes} DOM nodes; ` +
      `script ${took("ScriptDuration")}, style ${took("RecalcStyleDuration")}, layout ${took("LayoutDuration")}, all ${took("TaskDuration")}`
  )
}

const open = async (browser: Browser, hub: Hub): Promise<Page> => {
  const { path: link } = await call<{ readonly path: string }>(
    agent,
    hub,
    "POST",
    "/api/v1/console/links",
    {}
  )
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  await page.goto(`http://${hub.host}:${hub.port}${link}`)
  await page.getByRole("button", { name: "Sign out" }).waitFor()
  return page
}

/** Opens the topic in a new document, and prints when its first content and its messages were there. */
const openTopic = async (page: Page, address: string, what: string): Promise<void> => {
  await page.goto("about:blank")
  await page.goto(address)
  await page.locator("li.message").first().waitFor()
  const [paint, messages] = await page.evaluate<[number, number]>(
    `[performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN, performance.now()]`
  )
  say(`${what}: first content after ${rounded(paint)} ms, messages after at most ${rounded(messages)} ms`)
}

const sizes = (): void => {
  const folder = fileURLToPath(new URL("../console/dist/", import.meta.url))
  const files = fs.readdirSync(folder).filter((name) => /\.(?:js|css)$/.test(name))
  const bytes = files.map((name) => gzipSync(fs.readFileSync(path.join(folder, name)), { level: 9 }).length)
  say(`JavaScript and CSS: ${rounded(bytes.reduce((sum, one) => sum + one, 0) / 1000)} kB with gzip`)
}

const hub = await startHub({
  config: { linkifiers: [{ name: "urls", modulePath: "./plugins/url-linkifier.ts", isolation: "thread" }] },
  flags: ["--rate-limit", "0"]
})
const browser = await chromium.launch({
  executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"]
})
try {
  sizes()
  const topic = await fill(hub)
  const page = await open(browser, hub)
  const address = `http://${hub.host}:${hub.port}/ui/topics/${topic.id}`
  await openTopic(page, address, "topic")
  await page.evaluate(watch)
  const list = page.getByLabel("Messages", { exact: true })
  await during(page, "reading on, quiet", async () => {
    for (let step = 0; step < 30; step++) {
      await list.evaluate((element) => element.scrollBy(0, -600))
      await sleep(50)
    }
  })
  await openTopic(page, address, "topic again")
  await page.evaluate(watch)
  const stop = startPosting(hub, topic)
  await during(page, `following ${perSecond} posts a second`, () => sleep(seconds * 1000))
  await during(page, "reading on meanwhile", async () => {
    for (let step = 0; step < (seconds * 1000) / 100; step++) {
      await list.evaluate((element) => element.scrollBy(0, -400))
      await sleep(100)
    }
  })
  await page.goto(`http://${hub.host}:${hub.port}/ui/events`)
  await page.locator("ol.events li").first().waitFor()
  await page.evaluate(watch)
  await during(page, "the events as they happen", () => sleep(seconds * 1000))
  say(`posted ${Math.round(await stop())} messages a second`)
} finally {
  await browser.close()
  agent.destroy()
  await hub.stop()
}
