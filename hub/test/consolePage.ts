/** What tests do with a page of the console in a real browser. */
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { browserPath, type Watched } from "./browser.ts"

/** Tests in a browser, skipped if there is none. A browser starts slowly on a busy machine. */
export const describeInBrowser = (name: string, tests: () => void): void =>
  void describe.skipIf(browserPath === undefined)(
    `${name} (skipped where there is no Chromium)`,
    { timeout: 120_000 },
    tests
  )

export const from = <A>(work: () => Promise<A>): Effect.Effect<A> => Effect.promise(work)

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
