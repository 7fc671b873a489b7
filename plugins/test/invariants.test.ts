/** What holds for every text, and that no text costs more than its length. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import type { Enrichment } from "../../src/PluginKinds.ts"
import { codeRegions, prose } from "../src/markdown.ts"
import mentions from "../src/mention-linkifier.ts"
import references from "../src/reference-linkifier.ts"
import urlExtractor from "../src/url-extractor.ts"
import urls from "../src/url-linkifier.ts"
import { enrich, extract, fill, kib } from "./support.ts"

const linkifiers: Record<string, (text: string) => Promise<ReadonlyArray<Enrichment>>> = {
  "url-linkifier": (text) => enrich(urls, text),
  "reference-linkifier": (text) => enrich(references, text, { repository: "acme/app" }),
  "mention-linkifier": (text) => enrich(mentions, text)
}

const awkward = [
  "`",
  "```",
  "~~~",
  "\n",
  "\n\n",
  " ",
  "> ",
  "- ",
  "\\",
  "*",
  "**",
  "_",
  "~~",
  "(",
  ")",
  "[",
  "](",
  "<",
  ">",
  "|",
  '"',
  "'",
  ".",
  ",",
  "!",
  "?",
  ":",
  ";",
  "/",
  "#",
  "@",
  "-",
  "&",
  "=",
  "😀",
  "👩‍👩‍👧",
  "𝒳",
  "\uD83D",
  "\uDE00",
  "\u200d",
  "\u202e",
  "שלום",
  "مرحبا",
  "، ",
  "你好",
  "。",
  "é",
  "e\u0301",
  "word",
  "1a2b3c4",
  "0123456789",
  "https://",
  "//",
  "www.",
  "example.com",
  "https://a.example/x",
  "https://bücher.example/é",
  "пример.рф",
  "ann@example.com",
  "mailto:",
  "user:secret@",
  "@ann",
  "@محمد",
  "@小明",
  "#12",
  "GH-7",
  "acme/app",
  "acme/app#3",
  "acme/app@1a2b3c4"
] as const // prettier-ignore

// Left alone, arrays are mostly of two or three pieces, where little can go wrong.
const pieces = Schema.Array(Schema.Literals(awkward)).check(Schema.isMinLength(8), Schema.isMaxLength(30))
const text = Arbitrary.map(Arbitrary.schema(pieces), (parts) => parts.join(""))

/** Whether the text of a span is what the enrichment says it is, judged from the data alone. */
const agrees: Record<string, (written: string, data: Enrichment["data"]) => boolean> = {
  url: (written, data) =>
    new URL(/^[a-z]+:\/\//i.test(written) ? written : `https://${written}`).host === data["host"],
  mention: (written, data) => written === `@${String(data["name"])}`,
  reference: (written, data) =>
    "sha" in data
      ? [data["sha"], `${String(data["repository"])}@${String(data["sha"])}`].includes(written)
      : [`#`, `${String(data["repository"])}#`, "GH-"].some(
          (before) => written === `${before}${String(data["number"])}`
        )
}

const shifted = (enrichments: ReadonlyArray<Enrichment>, by: number): ReadonlyArray<Enrichment> =>
  enrichments.map((one) => ({ ...one, span: { start: one.span.start + by, end: one.span.end + by } }))

describe.each(Object.keys(linkifiers))("%s, on any text", (name) => {
  const run = linkifiers[name] ?? (() => Promise.reject(new Error(name)))

  it.effect.prop(
    "every span slices back to what was found",
    { text },
    ({ text }) =>
      Effect.promise(async () => {
        for (const { kind, span, data } of await run(text)) {
          assert.isTrue(
            agrees[kind]?.(text.slice(span.start, span.end), data),
            JSON.stringify({ text, span, data })
          )
        }
      }),
    { arbitrary: { runs: 1_000 } }
  )

  it.effect.prop(
    "a paragraph before it only moves the spans",
    { text },
    ({ text }) =>
      Effect.promise(async () => {
        const before = "😀 שלום\n\n"
        assert.deepStrictEqual(await run(before + text), shifted(await run(text), before.length))
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("on any text", () => {
  it.effect.prop(
    "attachments are distinct, and exactly the addresses that are linked",
    { text },
    ({ text }) =>
      Effect.promise(async () => {
        const linked = (await enrich(urls, text)).map(({ data }) => data["url"])
        const attached = (await extract(urlExtractor, text)).map(({ dedupe_key }) => dedupe_key)
        assert.deepStrictEqual(attached, [...new Set(linked)])
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "code regions lie in the text, in order; blanking keeps the length",
    { text },
    ({ text }) =>
      Effect.sync(() => {
        let end = 0
        for (const region of codeRegions(text)) {
          assert.isTrue(end <= region.start && region.start < region.end && region.end <= text.length)
          end = region.end
        }
        assert.strictEqual(prose(text).length, text.length)
      }),
    { arbitrary: { runs: 1_000 } }
  )
})

const pathological = [
  "(",
  "[",
  "`",
  "` ",
  "\\`",
  "\\",
  "```\n",
  "~",
  "_",
  "_a",
  "*",
  ">",
  "> ",
  "- ",
  "\n",
  " ",
  "@",
  "@a",
  "@a.",
  "@a-",
  "@_",
  "#",
  "#1",
  "/",
  "a/",
  "a/b#",
  "a/b@",
  "a-",
  "-",
  ".",
  "a.",
  "a.com",
  "a.com.",
  "a@a.",
  "a.a@",
  "http://",
  "http://http://",
  "http://a",
  "http://a.b/(",
  "http://a.b/[({",
  "http://a@",
  "//",
  ":",
  "0",
  "a",
  "deadbeef0",
  "1a2b3c4",
  "GH-",
  "xn--a.",
  "😀",
  "\uD83D",
  "م",
  "語",
  "é.",
  "|",
  '"',
  "PR ",
  "!",
  "?",
  "'",
  "`a``b```",
  "(a(a(a(a)",
  "http://a.b/'x",
  "http://[::",
  `${"a".repeat(64)}@`,
  `http://a.b/((((${"a".repeat(900)}`
] // prettier-ignore

const subjects: Record<string, (text: string) => Promise<unknown>> = {
  ...linkifiers,
  "url-extractor": (text) => extract(urlExtractor, text)
}

/** The best of five. */
const millis = async (work: () => Promise<unknown>): Promise<number> => {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const from = performance.now()
    await work()
    best = Math.min(best, performance.now() - from)
  }
  return best
}

/** How many times as long sixteen times the text takes: linear is about 16, quadratic 256. */
const growth = async (run: (text: string) => Promise<unknown>, unit: string): Promise<number> => {
  const small = await millis(() => run(fill(unit, 4 * kib)))
  const large = await millis(() => run(fill(unit, 64 * kib)))
  // Below a millisecond the clock decides.
  return large / Math.max(small, 1)
}

describe.each(Object.keys(subjects))("%s, on pathological text", (name) => {
  const run = subjects[name] ?? (() => Promise.reject(new Error(name)))

  it("takes time in proportion to the length", { timeout: 120_000 }, async () => {
    for (const unit of pathological) {
      // A busy machine can spoil a measurement, but not ten in a row.
      let ratio = await growth(run, unit)
      for (let again = 0; ratio >= 100 && again < 9; again++) ratio = await growth(run, unit)
      assert.isBelow(ratio, 100, JSON.stringify(unit))
    }
  })
})
