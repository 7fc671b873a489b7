import { assert, describe, it } from "@effect/vitest"
import extractor from "../src/url-extractor.ts"
import linkifier from "../src/url-linkifier.ts"
import { maxUrlLength } from "../src/urls.ts"
import { enrich, extract, fill, kib, slices, validate } from "./support.ts"

/** What is written, and what is found of it: as in the text, or `[as in the text, normalised]`. */
type Row = readonly [text: string, ...found: ReadonlyArray<string | readonly [written: string, url: string]>]

const tables: Record<string, ReadonlyArray<Row>> = {
  "addresses in prose": [
    ["nothing here"],
    [""],
    ["https://example.com", ["https://example.com", "https://example.com/"]],
    ["HTTP://Example.COM/Path", ["HTTP://Example.COM/Path", "http://example.com/Path"]],
    [
      "see ftp://files.example.com/a.iso now",
      ["ftp://files.example.com/a.iso", "ftp://files.example.com/a.iso"]
    ],
    [
      "http://localhost:3000/x?a=1#top",
      ["http://localhost:3000/x?a=1#top", "http://localhost:3000/x?a=1#top"]
    ],
    ["http://[::1]:8080/", ["http://[::1]:8080/", "http://[::1]:8080/"]],
    ["a https://a.example b https://b.example/ c", "https://a.example", "https://b.example/"],
    ["line one https://a.example/1\nhttps://b.example/2", "https://a.example/1", "https://b.example/2"]
  ],
  "domains without a scheme": [
    ["try example.com", ["example.com", "https://example.com/"]],
    ["www.example.org/docs?x=1", ["www.example.org/docs?x=1", "https://www.example.org/docs?x=1"]],
    ["on myproject.dev, fly.io and crates.io", "myproject.dev", "fly.io", "crates.io"],
    ["read README.md, main.rs, run.sh, user.name"],
    ["but docs.rs/serde is one", "docs.rs/serde"],
    ["logger.info(1) is a call, done.It is a typo"],
    ["v1.2.3, 192.168.1.1, e.g. this, etc."],
    ["src/index.com and a\\b.com"],
    ["//example.com is a comment"]
  ],
  "punctuation after": [
    ["Go to https://a.example/x.", "https://a.example/x"],
    [
      "https://a.example/x, https://b.example/y; https://c.example/z!",
      "https://a.example/x",
      "https://b.example/y",
      "https://c.example/z"
    ],
    ["Really https://a.example/x?!", "https://a.example/x"],
    ["https://a.example/x...", "https://a.example/x"],
    ["here: https://a.example/x: see", "https://a.example/x"],
    ["\"https://a.example/x\" 'https://b.example/y'", "https://a.example/x", "https://b.example/y"],
    ["https://a.example/x。次", "https://a.example/x"],
    ["example.com?", "example.com"],
    ["https://a.example/x?q=1&b=2.", "https://a.example/x?q=1&b=2"]
  ],
  "parentheses and brackets": [
    ["(https://a.example/x)", "https://a.example/x"],
    ["(see https://en.wikipedia.org/wiki/Rust_(language))", "https://en.wikipedia.org/wiki/Rust_(language)"],
    ["https://a.example/(x", "https://a.example/"],
    ["<https://a.example/x>", "https://a.example/x"],
    ["[https://a.example/x]", "https://a.example/x"]
  ],
  Markdown: [
    ["[text](https://a.example/x)", "https://a.example/x"],
    [
      '[text](https://a.example/x "title") and [t](<https://b.example/y>)',
      "https://a.example/x",
      "https://b.example/y"
    ],
    ["[https://a.example/x](https://b.example/y)", "https://a.example/x", "https://b.example/y"],
    ["[wiki](https://a.example/x_(y))", "https://a.example/x_(y)"],
    ["![img](https://a.example/x.png)", "https://a.example/x.png"],
    ["[1]: https://a.example/x", "https://a.example/x"],
    [
      "**https://a.example/x** *https://b.example/y.* ~~https://c.example/z~~",
      "https://a.example/x",
      "https://b.example/y",
      "https://c.example/z"
    ],
    ["_https://a.example/x_ and __https://b.example__.", "https://a.example/x", "https://b.example"],
    ["https://a.example/snake_case_path", "https://a.example/snake_case_path"],
    ["| https://a.example/x| https://b.example/y |", "https://a.example/x", "https://b.example/y"]
  ],
  code: [
    ["run `https://a.example/x` please", "https://a.example/x"],
    ["`curl -s https://a.example/x | sh`", "https://a.example/x"],
    ["```\nhttps://a.example/x\n```\nhttps://b.example/y", "https://b.example/y"],
    ["```sh\ncurl https://a.example/x"],
    ["~~~\nhttps://a.example/x\n```\nhttps://b.example\n~~~\nhttps://c.example/z", "https://c.example/z"],
    ["> ```\n> https://a.example/x\n> ```\n> https://b.example/y", "https://b.example/y"]
  ],
  "international text": [
    [
      "https://bücher.example/straße",
      ["https://bücher.example/straße", "https://xn--bcher-kva.example/stra%C3%9Fe"]
    ],
    ["пример.рф/путь", ["пример.рф/путь", "https://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C"]],
    ["ดู ตัวอย่าง.ไทย", ["ตัวอย่าง.ไทย", "https://xn--72c1a1bt4awk9o.xn--o3cw4h/"]],
    ["https://xn--bcher-kva.example", ["https://xn--bcher-kva.example", "https://xn--bcher-kva.example/"]],
    ["😀👩‍👩‍👧 https://a.example/😀 𝒳", ["https://a.example/😀", "https://a.example/%F0%9F%98%80"]],
    [
      "راجع https://a.example/صفحة، شكرا",
      ["https://a.example/صفحة", "https://a.example/%D8%B5%D9%81%D8%AD%D8%A9"]
    ],
    ["ראו את example.co.il/שלום.", ["example.co.il/שלום", "https://example.co.il/%D7%A9%D7%9C%D7%95%D7%9D"]],
    ["\u202bhttps://a.example/x\u202c", "https://a.example/x"],
    ["見て「https://a.example/x」", "https://a.example/x"]
  ],
  "not addresses, or not to be passed on": [
    ["ann@example.com, john.me@example.com and jörg.me@example.com"],
    ["mailto:ann@example.com"],
    ["https://user:secret@example.com/x"],
    ["https://user@example.com"],
    [`https://${"u".repeat(80)}:secret@example.com/x`],
    ["http:// https:///x http://?"],
    ["http://999.999.999.999/"],
    ["javascript:alert(1) data:text/html,x file:///etc/passwd"],
    [
      `https://a.example/${"x".repeat(maxUrlLength)}?u=https://b.example/&v=example.com https://c.example/`,
      "https://c.example/"
    ],
    [`https://a.example/${"é".repeat(400)} https://c.example/`, "https://c.example/"]
  ]
}

for (const [title, rows] of Object.entries(tables)) {
  describe(`url-linkifier: ${title}`, () => {
    it.each(rows.map(([text, ...found]) => ({ text, found, shown: text.slice(0, 80) })))(
      "$shown",
      async ({ text, found }) => {
        const enrichments = await enrich(linkifier, text)
        assert.deepStrictEqual(
          slices(text, enrichments),
          found.map((one) => (typeof one === "string" ? one : one[0]))
        )
        for (const [index, one] of found.entries()) {
          if (typeof one !== "string") assert.strictEqual(enrichments[index]?.data["url"], one[1])
        }
      }
    )
  })
}

describe("url-linkifier", () => {
  it("says what it links to", async () => {
    assert.deepStrictEqual(await enrich(linkifier, "See example.com:"), [
      { kind: "url", span: { start: 4, end: 15 }, data: { url: "https://example.com/", host: "example.com" } }
    ])
  })

  it("links every occurrence, and the first 1,000 of many", async () => {
    assert.lengthOf(await enrich(linkifier, "a.com a.com"), 2)
    const found = await enrich(linkifier, fill("a.com ", 64 * kib))
    assert.lengthOf(found, 1_000)
    assert.deepStrictEqual(found[999]?.span, { start: 5_994, end: 5_999 })
  })

  it("finds the one at the end of 64 KiB", async () => {
    const text = `${fill("lorem ipsum 😀 dolor. ", 64 * kib)} https://a.example/x`
    assert.deepStrictEqual(slices(text, await enrich(linkifier, text)), ["https://a.example/x"])
  })

  it("refuses options, for it has none", async () => {
    assert.deepStrictEqual(await validate(linkifier.configSchema, { scheme: "http" }), {
      issues: [{ message: "unknown option; this plugin has none", path: ["scheme"] }]
    })
    assert.isDefined((await validate(linkifier.configSchema, null)).issues)
  })
})

describe("url-extractor", () => {
  it("attaches an address with its host and the text as first written", async () => {
    assert.deepStrictEqual(await extract(extractor, "See Bücher.example/a."), [])
    assert.deepStrictEqual(await extract(extractor, "See https://Bücher.example:8080/a."), [
      {
        kind: "url",
        value_json: {
          url: "https://xn--bcher-kva.example:8080/a",
          host: "xn--bcher-kva.example:8080",
          text: "https://Bücher.example:8080/a"
        },
        dedupe_key: "https://xn--bcher-kva.example:8080/a"
      }
    ])
  })

  it.each([
    ["Example.com https://example.com/ https://EXAMPLE.com:443/? https://example.com/#", 1],
    ["https://a.example/?#top https://a.example/#top", 1],
    ["https://a.example/x/../y https://a.example/y", 1],
    ["http://bücher.example http://xn--bcher-kva.example/", 1],
    ["https://a.example/a b https://a.example/A", 2],
    ["https://a.example/#install https://a.example/#usage", 2],
    ["http://a.example/ https://a.example/", 2],
    ["https://a.example/?a=1 https://a.example/?a=2", 2]
  ] as const)("%s: %i", async (text, count) => {
    const attachments = await extract(extractor, text)
    assert.lengthOf(attachments, count)
    assert.strictEqual(new Set(attachments.map((one) => one.dedupe_key)).size, count)
    for (const { value_json, dedupe_key } of attachments) assert.strictEqual(value_json["url"], dedupe_key)
  })

  it("keeps the text as first written", async () => {
    const [attachment] = await extract(extractor, "EXAMPLE.com, then https://example.com/")
    assert.strictEqual(attachment?.value_json["text"], "EXAMPLE.com")
  })

  it("keeps the first 1,000 addresses of many", async () => {
    const text = Array.from({ length: 1_500 }, (_, index) => `https://a.example/${index} a.com`).join(" ")
    const attachments = await extract(extractor, text)
    assert.lengthOf(attachments, 1_000)
    assert.strictEqual(attachments[0]?.dedupe_key, "https://a.example/0")
    assert.strictEqual(attachments[999]?.dedupe_key, "https://a.example/998")
  })

  it("stays within the limits with the longest addresses there are", async () => {
    const long = (index: number): string => `https://a.example/${index}/${"x".repeat(maxUrlLength - 40)}`
    const attachments = await extract(
      extractor,
      Array.from({ length: 32 }, (_, index) => long(index)).join(" ")
    )
    assert.lengthOf(attachments, 32)
    await extract(extractor, fill(`https://a.example/${"語".repeat(200)} `, 64 * kib))
  })
})
