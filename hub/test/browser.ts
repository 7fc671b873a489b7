/** A real browser for tests of the console: Debian's Chromium, or the one that CHROMIUM names. */
import { Effect } from "effect"
import * as fs from "node:fs"
import { type Browser, chromium, type Page } from "playwright-core"
import { client } from "./testHub.ts"

const places = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
]

/** The browser's path; `undefined` where none is installed. */
export const browserPath = places.find((file) => file !== undefined && fs.existsSync(file))

/** Ends with the scope. */
export const startBrowser = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      ...(browserPath === undefined ? {} : { executablePath: browserPath }),
      args: ["--no-sandbox", "--disable-dev-shm-usage"]
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** What the page logged as an error, and every violation of its policy. */
export interface Watched {
  readonly page: Page
  readonly problems: ReadonlyArray<string>
}

/** A page in a browser profile of its own. */
export const newPage = Effect.fnUntraced(function* (
  browser: Browser,
  options: Parameters<Browser["newContext"]>[0] = {}
) {
  const context = yield* Effect.acquireRelease(
    Effect.promise(() => browser.newContext(options)),
    (context) => Effect.promise(() => context.close())
  )
  const page = yield* Effect.promise(() => context.newPage())
  const problems: Array<string> = []
  page.on("pageerror", (error) => problems.push(`${error.name}: ${error.message}`))
  page.on("console", (message) => {
    // A browser logs each refused request by itself; tests of refusals cause them on purpose.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      problems.push(message.text())
  })
  const watched: Watched = { page, problems }
  return watched
})

/** A new link of `agentlip open`. */
export const linkTo = (hub: { readonly url: string; readonly token: string }): Effect.Effect<string> =>
  Effect.map(client(hub.url, hub.token).post("/api/v1/console/links", {}), ({ body }) => hub.url + body.path)
