import { assert, describe, it } from "@effect/vitest"
import { blank, codeRegions, prose } from "../src/markdown.ts"
import { fill, kib } from "./support.ts"

describe("codeRegions", () => {
  it.each<readonly [text: string, ...code: ReadonlyArray<string>]>([
    [""],
    ["no code"],
    ["a `b` c", "`b`"],
    ["``a ` b`` `c`", "``a ` b``", "`c`"],
    ["`` a ` b"],
    ["` a `` b ` c", "` a `` b `"],
    ["\\`a` b`", "` b`"],
    ["\\\\`a`", "`a`"],
    ["`a\\` b`", "`a\\`"],
    ["\\``a`", "`a`"],
    ["😀`😀`", "`😀`"],
    ["```\na\n```\nb", "```\na\n```\n"],
    ["```js\na\n````\nb", "```js\na\n````\n"],
    ["````\na\n```\n````", "````\na\n```\n````"],
    ["~~~ a`b\nc\n~~~", "~~~ a`b\nc\n~~~"],
    ["``` a ``` b", "``` a ```"],
    ["```\r\na\r\n```\r\nb", "```\r\na\r\n```\r\n"],
    ["```\na\n``` b\nc", "```\na\n``` b\nc"],
    ["`a\nb`", "`a\nb`"],
    ["`a\n\nb`"],
    ["`a\n```\nb`\n```", "```\nb`\n```"],
    ["1. ```\n   a\n   ```\nb", "1. ```\n   a\n   ```\n"]
  ])("%j", (text, ...code) => {
    assert.deepStrictEqual(
      codeRegions(text).map(({ start, end }) => text.slice(start, end)),
      code
    )
  })
})

describe("blank", () => {
  it("keeps every offset", () => {
    const text = "😀 `x` y `z`"
    assert.strictEqual(blank(text, codeRegions(text)), "😀     y    ")
    assert.strictEqual(prose("a `b` https://a.example c"), `a     ${" ".repeat(17)} c`)
  })

  it("does nothing to a long text without code", () => {
    const text = fill("lorem ipsum\n", 64 * kib)
    assert.strictEqual(blank(text, codeRegions(text)), text)
  })
})
