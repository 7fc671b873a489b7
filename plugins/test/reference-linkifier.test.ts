import { assert, describe, it } from "@effect/vitest"
import references from "../src/reference-linkifier.ts"
import { enrich, fill, kib, slices, validate } from "./support.ts"

const config = { repository: "acme/app" }
const full = "0123456789abcdef0123456789abcdef01234567"

/** What is written, and what is found of it: `[as in the text, the link's path below the base URL]`. */
type Row = readonly [text: string, ...found: ReadonlyArray<readonly [written: string, path: string]>]

const tables: Record<string, ReadonlyArray<Row>> = {
  "issues and pull requests": [
    ["fixes #12", ["#12", "acme/app/issues/12"]],
    ["GH-12 and gh-7", ["GH-12", "acme/app/issues/12"], ["gh-7", "acme/app/issues/7"]],
    ["nodejs/node#123", ["nodejs/node#123", "nodejs/node/issues/123"]],
    ["a-b/c.d_e-f#1", ["a-b/c.d_e-f#1", "a-b/c.d_e-f/issues/1"]],
    [
      '#1, #2; (#3) [#4] "#5" #6. #7: #8!',
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => [`#${n}`, `acme/app/issues/${n}`] as const)
    ],
    ["#1/#2", ["#1", "acme/app/issues/1"]],
    ["PR #12", ["#12", "acme/app/issues/12"]]
  ],
  commits: [
    ["in 1a2b3c4", ["1a2b3c4", "acme/app/commit/1a2b3c4"]],
    [`at ${full}.`, [full, `acme/app/commit/${full}`]],
    ["nodejs/node@1234567, see", ["nodejs/node@1234567", "nodejs/node/commit/1234567"]],
    ["(1a2b3c4, 5d6e7f8)", ["1a2b3c4", "acme/app/commit/1a2b3c4"], ["5d6e7f8", "acme/app/commit/5d6e7f8"]]
  ],
  "not issues": [
    ["#0 #01 # 1 #a #1a #12_b #1234567890 1#2 a#3 ##4 &#39; /#5 v#6 #3.14"],
    ["XGH-12 GH-0 GH- GH-1a x-GH-1"],
    ["https://a.example/x#12 https://github.com/a/b#1 a/b/c#1 /a/b#1 ../a#1 a/..#1 -a/b#1"],
    ["#fff #123abc #00ff00aa"],
    ["\\#12"]
  ],
  "not commits": [
    ["1234567 20240101 3.14159265 0x1234567a 12345e7 defaced effaced deadbeef"],
    ["550e8400-e29b-41d4-a716-446655440000"],
    ["d41d8cd98f00b204e9800998ecf8427e is an MD5 sum"],
    ["sha256:1a2b3c4d5e6f and e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["1a2b3c 1A2B3C4 1a2b3c4g g1a2b3c4 1a2b3c4.png ?v=1a2b3c4 dist/1a2b3c4 1a2b3c4/x #1a2b3c4"],
    ["https://github.com/a/b/commit/1a2b3c4 @scope/pkg@1a2b3c4 npm/pkg@1.2.3"]
  ],
  Markdown: [
    [
      "**#1** _#2_ ~~#3~~ __a/b#4__",
      ["#1", "acme/app/issues/1"],
      ["#2", "acme/app/issues/2"],
      ["#3", "acme/app/issues/3"],
      ["a/b#4", "a/b/issues/4"]
    ],
    ["`#1` #2", ["#2", "acme/app/issues/2"]],
    ["```\n#1 1a2b3c4\n```\n#2", ["#2", "acme/app/issues/2"]],
    ["[#1](https://a.example/#2)", ["#1", "acme/app/issues/1"]],
    ["# 1\n#2", ["#2", "acme/app/issues/2"]]
  ],
  "awkward text": [
    ["😀#1 👩‍👩‍👧 #2", ["#1", "acme/app/issues/1"], ["#2", "acme/app/issues/2"]],
    ["修复#12。", ["#12", "acme/app/issues/12"]],
    ["תוקן ב־#12, تم #13،", ["#12", "acme/app/issues/12"], ["#13", "acme/app/issues/13"]],
    ["#١٢ #１２"]
  ]
}

for (const [title, rows] of Object.entries(tables)) {
  describe(`reference-linkifier: ${title}`, () => {
    it.each(rows.map(([text, ...found]) => ({ text, found })))("$text", async ({ text, found }) => {
      const enrichments = await enrich(references, text, config)
      const seen = enrichments.map(({ data }, index) => [slices(text, enrichments)[index], data["url"]])
      assert.deepStrictEqual(
        seen,
        found.map(([written, path]) => [written, `https://github.com/${path}`])
      )
    })
  })
}

describe("reference-linkifier", () => {
  it("says what is referred to", async () => {
    const found = await enrich(references, "PR #12, a/b#7, a/b@1a2b3c4", config)
    assert.deepStrictEqual(
      found.map(({ data }) => data),
      [
        {
          type: "pull_request",
          repository: "acme/app",
          number: 12,
          url: "https://github.com/acme/app/issues/12"
        },
        { type: "issue", repository: "a/b", number: 7, url: "https://github.com/a/b/issues/7" },
        { type: "commit", repository: "a/b", sha: "1a2b3c4", url: "https://github.com/a/b/commit/1a2b3c4" }
      ]
    )
    assert.isTrue(found.every(({ kind }) => kind === "reference"))
  })

  it.each(["PR #1", "pr  #1", "Pull Request #1", "PRs #1", "pull #1"])(
    "%s is a pull request",
    async (text) => {
      const [found] = await enrich(references, text, config)
      assert.strictEqual(found?.data["type"], "pull_request")
    }
  )

  it("leaves what needs a repository alone where there is none", async () => {
    const text = "#1 GH-2 1a2b3c4 a/b#3 a/b@1a2b3c4"
    assert.deepStrictEqual(slices(text, await enrich(references, text)), ["a/b#3", "a/b@1a2b3c4"])
  })

  it.each(["https://git.example/forge", "https://git.example/forge/", "HTTPS://GIT.example:443/forge"])(
    "links below the base URL %s",
    async (baseUrl) => {
      const [found] = await enrich(references, "#1", { ...config, baseUrl })
      assert.strictEqual(found?.data["url"], "https://git.example/forge/acme/app/issues/1")
    }
  )

  it.each([
    [
      { baseUrl: "github.com" },
      "baseUrl",
      'expected an http(s) URL such as "https://github.com", got "github.com"'
    ],
    [{ baseUrl: null }, "baseUrl", 'expected an http(s) URL such as "https://github.com", got null'],
    [{ baseUrl: 7 }, "baseUrl", 'expected an http(s) URL such as "https://github.com", got number'],
    [
      { baseUrl: "javascript:alert(1)" },
      "baseUrl",
      'expected an http(s) URL such as "https://github.com", got "javascript:alert(1)"'
    ],
    [
      { baseUrl: "https://me:secret@git.example" },
      "baseUrl",
      "expected a URL without credentials: it becomes part of every link"
    ],
    [
      { baseUrl: "https://git.example/?a" },
      "baseUrl",
      "expected a URL without query and fragment: the repository is appended to it"
    ],
    [{ baseUrl: `https://git.example/${"x".repeat(600)}` }, "baseUrl", "expected at most 512 characters"],
    [{ repository: "app" }, "repository", 'expected "owner/name", such as "nodejs/node"'],
    [{ repository: "a/b/c" }, "repository", 'expected "owner/name", such as "nodejs/node"'],
    [{ repository: "a/.." }, "repository", 'expected "owner/name", such as "nodejs/node"'],
    [{ repository: null }, "repository", 'expected "owner/name", such as "nodejs/node"'],
    [
      { baseURL: "https://git.example" },
      "baseURL",
      'unknown option; this plugin has "baseUrl" and "repository"'
    ]
  ])("refuses %j", async (given, option, message) => {
    assert.deepStrictEqual(await validate(references.configSchema, given), {
      issues: [{ message, path: [option] }]
    })
  })

  it("lists every problem at once", async () => {
    const { issues } = await validate(references.configSchema, { baseUrl: 1, repository: 2, extra: 3 })
    assert.deepStrictEqual(
      issues?.map(({ path }) => path),
      [["extra"], ["baseUrl"], ["repository"]]
    )
  })

  it("keeps the first 1,000, within the output's size even with the longest base URL", async () => {
    const baseUrl = `https://git.example/${"x".repeat(480)}`
    assert.lengthOf(await enrich(references, fill("#1 ", 64 * kib), { ...config, baseUrl }), 1_000)
  })
})
