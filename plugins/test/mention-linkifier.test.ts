import { assert, describe, it } from "@effect/vitest"
import mentions from "../src/mention-linkifier.ts"
import { enrich, fill, kib, slices } from "./support.ts"

type Row = readonly [text: string, ...names: ReadonlyArray<string>]

const tables: Record<string, ReadonlyArray<Row>> = {
  names: [
    ["hi @ann", "ann"],
    ["@ann", "ann"],
    ["@Ann_B-2 and @agent.one", "Ann_B-2", "agent.one"],
    ["@zoë @Søren @محمد @דוד @дмитрий @ひかり", "zoë", "Søren", "محمد", "דוד", "дмитрий", "ひかり"],
    ["@राहुल and @นารี and @می\u200cخواهم", "राहुल", "นารี", "می\u200cخواهم"],
    ["@zoe\u0308 (decomposed)", "zoe\u0308"],
    ["@𝓪𝓷𝓷", "𝓪𝓷𝓷"],
    [`@${"a".repeat(64)}`, "a".repeat(64)],
    [`@${"a".repeat(65)} @ @- @. @7 @3pm @2x @__`]
  ],
  "punctuation around": [
    ["@ann, @bob. @cy! @dee? @eve: @fay; @gus...", "ann", "bob", "cy", "dee", "eve", "fay", "gus"],
    ["(@ann) [@bob] <@cy> \"@dee\" '@eve'", "ann", "bob", "cy", "dee", "eve"],
    ["@ann's and @bob’s", "ann", "bob"],
    ["@ann- @bob-", "ann", "bob"],
    ["@ann/@bob,@cy;@dee", "ann", "cy", "dee"],
    ["cc:@ann …@bob —@cy", "ann", "bob", "cy"],
    ["@ann\n@bob\t@cy", "ann", "bob", "cy"]
  ],
  "not mentions": [
    ["ann@example.com, a.b+c@example.co.uk, ann.@example.com, jörg@example.com, 用户@例子.广告"],
    ["@ann@example.social @types/node @agentlip/plugin-runtime"],
    ["https://medium.com/@ann https://a.example/?by=@ann git@github.com:a/b ssh://git@host"],
    ["foo_@ann a**@ann"],
    ["@@ann \\@ann #@ann"]
  ],
  Markdown: [
    ["**@ann** _@bob_ __@cy__ ~~@dee~~ *@eve_*", "ann", "bob", "cy", "dee", "eve_"],
    ["[@ann](https://a.example/@bob) - @cy", "ann", "cy"],
    ["> @ann\n\n# @bob\n- @cy", "ann", "bob", "cy"],
    ["`@ann` ``a ` @bob`` @cy", "cy"],
    ["```java\n@Override\n```\n@ann", "ann"],
    ["```\n@ann"],
    ["  ~~~~\n@ann\n~~~\n@bob\n~~~~\n@cy", "cy"],
    ["- ```\n  @ann\n  ```\n- @bob", "bob"],
    ["` @ann is not in code", "ann"],
    ["\\`@ann\\` and `` @bob ` @cy", "ann", "bob", "cy"],
    ["a ` b\n\n@ann ` c", "ann"],
    ["- one ` \n- @ann `", "ann"],
    ["`a\n@ann b`"]
  ],
  "awkward text": [
    ["😀 @ann 👩‍👩‍👧 @bob 𝒳@cy", "ann", "bob"],
    ["😀@ann🎉", "ann"],
    ["谢谢@小明，你好", "小明"],
    ["שלום @דוד! مرحبا @محمد،", "דוד", "محمد"],
    ["\u202e@ann\u202c", "ann"],
    ["\uD83D@ann \uDE00@bob", "ann", "bob"]
  ]
}

for (const [title, rows] of Object.entries(tables)) {
  describe(`mention-linkifier: ${title}`, () => {
    it.each(rows.map(([text, ...names]) => ({ text, names })))("$text", async ({ text, names }) => {
      const enrichments = await enrich(mentions, text)
      assert.deepStrictEqual(
        enrichments.map(({ data }) => data["name"]),
        names
      )
      assert.deepStrictEqual(
        slices(text, enrichments),
        names.map((name) => `@${name}`)
      )
    })
  })
}

describe("mention-linkifier", () => {
  it("says who is mentioned, with the @ in the span", async () => {
    assert.deepStrictEqual(await enrich(mentions, "Thanks @zoë!"), [
      { kind: "mention", span: { start: 7, end: 11 }, data: { name: "zoë" } }
    ])
  })

  it("keeps the first 1,000 and finds the one at the end of 64 KiB", async () => {
    assert.lengthOf(await enrich(mentions, fill("@a ", 64 * kib)), 1_000)
    const text = `${fill("😀 lorem ` ipsum ", 64 * kib)}\n\n@ann`
    assert.deepStrictEqual(slices(text, await enrich(mentions, text)), ["@ann"])
  })
})
