import { assert, describe, it } from "@effect/vitest"
import { CliOutput } from "effect/cli"
import { marked, type TextSpan, underlined } from "../src/cli/render/underline.ts"

const span = (text: string, part: string): TextSpan => {
  const start = text.indexOf(part)
  return { start, end: start + part.length }
}

const marks = (text: string, ...parts: ReadonlyArray<string>): ReadonlyArray<string> =>
  marked(
    text,
    parts.map((part) => span(text, part))
  )

describe("marked", () => {
  it("marks spans below their line, and lines without any are alone", () => {
    assert.deepStrictEqual(marks("see a.b and c.d\nnothing\n\n  e.f", "a.b", "c.d", "e.f"), [
      "see a.b and c.d",
      "    ^^^     ^^^",
      "nothing",
      "",
      "  e.f",
      "  ^^^"
    ])
  })

  it("marks columns, not code units", () => {
    assert.deepStrictEqual(marks("日本 SHIP 🚀 it👨‍👩‍👧 e\u0301x", "SHIP", "it", "x"), [
      "日本 SHIP 🚀 it👨‍👩‍👧 e\u0301x",
      "     ^^^^    ^^    ^"
    ])
    assert.deepStrictEqual(marks("a🚀b日c", "🚀", "日"), ["a🚀b日c", " ^^ ^^"])
  })

  it("marks a whole character where a span cuts it in two", () => {
    assert.deepStrictEqual(marked("a🚀b", [{ start: 2, end: 3 }]), ["a🚀b", " ^^"])
    assert.deepStrictEqual(marked("👨‍👩‍👧!", [{ start: 3, end: 4 }]), ["👨‍👩‍👧!", "^^"])
  })

  it("gives spans that overlap rows of their own, and no more rows than are needed", () => {
    const text = "one two three four"
    assert.deepStrictEqual(marks(text, "one two", "two three", "four"), [
      text,
      "^^^^^^^       ^^^^",
      "    ^^^^^^^^^"
    ])
    assert.deepStrictEqual(marks("aaa", "aaa", "aaa"), ["aaa", "^^^", "^^^"])
  })

  it("goes on over the end of a line, which is shown where it is covered", () => {
    assert.deepStrictEqual(marks("ab\ncd\r\nef", "b\ncd\r\ne"), ["ab⏎", " ^^", "cd⏎", "^^^", "ef", "^"])
    assert.deepStrictEqual(marks("a\nb", "\n"), ["a⏎", " ^", "b"])
  })

  it("escapes what a terminal would obey, and keeps tabs as columns", () => {
    assert.deepStrictEqual(marks("a\u001B[31mb\tc", "b", "c"), ["a\\u001b[31mb    c", "           ^    ^"])
    const hostile = "\u001B]0;x\u0007\u009B2J\r\u202E\u200B\uD800\u2028\u0000"
    const shown = marked(hostile, [{ start: 0, end: hostile.length }]).join("")
    assert.notMatch(shown, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
    const coloured = underlined(hostile, [{ start: 0, end: hostile.length }]).join("")
    // oxlint-disable-next-line no-control-regex -- its own escape codes
    assert.notMatch(coloured.replaceAll(/\u001B\[\d+m/g, ""), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
  })

  it("breaks lines that are too wide, marks and all", () => {
    assert.deepStrictEqual(marked("日本語abc", [{ start: 2, end: 5 }], 5), ["日本", "語abc", "^^^^"])
    assert.deepStrictEqual(marked("日本", [], 1), ["日", "本"])
  })

  it("marks as many columns as there are, whatever the text", () => {
    const text = "x🇩🇪y\t日\u0301z 👍🏽!"
    for (let start = 0; start < text.length; start++) {
      const [shown = "", below = ""] = marked(text, [{ start, end: text.length }])
      assert.strictEqual(CliOutput.displayWidth(below), CliOutput.displayWidth(shown))
    }
  })
})

describe("underlined", () => {
  it("underlines in colours, and ends them with the line", () => {
    assert.deepStrictEqual(
      underlined("a bc d\ne", [
        { start: 2, end: 4 },
        { start: 5, end: 8 }
      ]),
      ["a \u001B[4m\u001B[36mbc\u001B[0m \u001B[4m\u001B[33md⏎\u001B[0m", "\u001B[4m\u001B[33me\u001B[0m"]
    )
  })

  it("shows where spans overlap", () => {
    assert.deepStrictEqual(
      underlined("abc", [
        { start: 0, end: 2 },
        { start: 1, end: 3 }
      ]),
      ["\u001B[4m\u001B[36ma\u001B[0m\u001B[4m\u001B[1m\u001B[33mb\u001B[0m\u001B[4m\u001B[33mc\u001B[0m"]
    )
  })
})
