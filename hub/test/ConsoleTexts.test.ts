import { assert, describe, it } from "@effect/vitest"
import { piecesOf, plain } from "../../console/src/text/characters.ts"
import { addressIn, isMisleading } from "../../console/src/text/links.ts"
import { lanesOf, segmentsOf } from "../../console/src/text/segments.ts"

const finding = (start: number, end: number) => ({ span: { start, end } })

describe("segments of a text with findings", () => {
  it("are the whole text, cut at the borders of findings that overlap", () => {
    const [a, b, c] = [finding(0, 4), finding(2, 6), finding(2, 3)]
    const segments = segmentsOf("abcdefgh", [b, a, c])
    assert.deepStrictEqual(
      segments.map(({ text, findings }) => [text, findings]),
      [
        ["ab", [a]],
        ["c", [a, b, c]],
        ["d", [a, b]],
        ["ef", [b]],
        ["gh", []]
      ]
    )
  })

  it("never cut a character in two, and leave out spans that are empty or outside", () => {
    const text = "x👩y"
    const half = finding(0, 2)
    const given = [half, finding(3, 3), finding(9, 12), finding(-5, 0), finding(4, 2)]
    const segments = segmentsOf(text, given)
    assert.strictEqual(segments.map((segment) => segment.text).join(""), text)
    assert.isTrue(segments.every((segment) => segment.text.isWellFormed()))
    assert.deepStrictEqual(
      segments.flatMap(({ findings }) => findings),
      [half]
    )
  })

  it("are the text again, whatever the spans", () => {
    let seed = 7
    const random = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below
    for (let round = 0; round < 300; round++) {
      const text = Array.from({ length: random(20) }, () => ["a", "👩", "\n", "ش"][random(4)]).join("")
      const findings = Array.from({ length: random(8) }, () => finding(random(30) - 3, random(30) - 3))
      const segments = segmentsOf(text, findings)
      assert.strictEqual(segments.map((segment) => segment.text).join(""), text)
      let at = 0
      for (const { start, text: part } of segments) {
        assert.strictEqual(start, at)
        at += part.length
      }
    }
  })

  it("give findings that overlap different lines", () => {
    const [a, b, c, d] = [finding(0, 4), finding(2, 6), finding(4, 8), finding(0, 9)]
    const lanes = lanesOf([a, b, c, d], 3)
    assert.notStrictEqual(lanes.get(a), lanes.get(b))
    assert.strictEqual(lanes.get(a), lanes.get(c))
    assert.isBelow(Math.max(...lanes.values()), 3)
  })
})

describe("characters that do not show", () => {
  it("show as their numbers, and words and emoji stay whole", () => {
    for (const [text, shown] of [
      ["\u202egnp.exe", "[U+202E]gnp.exe"],
      ["a\u0000\u001b[31m\u009b", "a[U+0000][U+001B][31m[U+009B]"],
      ["zero\u200bwidth\u2066x\u2069", "zero[U+200B]width[U+2066]x[U+2069]"],
      ["tag\u{e0041}", "tag[U+E0041]"],
      ["a\u2028b", "a[U+2028]b"]
    ] as const) {
      assert.strictEqual(plain(text), shown)
    }
    for (const text of [
      "tabs\tand\nlines",
      "windows\r\nlines",
      "👩‍👩‍👧",
      "❤️",
      "می‌خواهم",
      "שלום",
      "e\u0301"
    ]) {
      assert.strictEqual(plain(text), text)
    }
    assert.strictEqual(
      piecesOf("a\u202eb")
        .map(({ text }) => text)
        .join(""),
      "a\u202eb"
    )
  })
})

describe("addresses in the data of findings", () => {
  it("are http and https only, without a user", () => {
    for (const url of [
      "javascript:alert(1)",
      " javascript:alert(1)",
      "JAVASCRIPT:alert(1)",
      "java\nscript:alert(1)",
      "data:text/html,<script>alert(1)</script>",
      "vbscript:x",
      "file:///etc/passwd",
      "//evil.example",
      "https://bank.example@evil.example/",
      "https://",
      `https://example.com/${"x".repeat(3_000)}`,
      7,
      null,
      { href: "https://example.com" }
    ]) {
      assert.isUndefined(addressIn({ url }), JSON.stringify(url))
    }
    assert.strictEqual(addressIn({ url: "https://example.com/a?b#c" })?.href, "https://example.com/a?b#c")
    assert.strictEqual(addressIn({ href: "HTTP://example.com" })?.href, "http://example.com/")
  })

  it("are told apart from a text that names another host", () => {
    const address = new URL("https://evil.example/x")
    for (const text of ["https://bank.example", "bank.example/login", "HTTPS://bank.example"]) {
      assert.isTrue(isMisleading(text, address), text)
    }
    for (const text of ["https://evil.example/x", "evil.example", "#42", "the notes", "@ada"]) {
      assert.isFalse(isMisleading(text, address), text)
    }
  })
})
