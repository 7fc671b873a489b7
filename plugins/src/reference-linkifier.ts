/**
 * Links references to issues, pull requests and commits: one enrichment of kind `"reference"` per occurrence.
 * `data` is `{ type, repository, number, url }` for `"issue"` and `"pull_request"`, and
 * `{ type, repository, sha, url }` for `"commit"`. The first 1,000.
 *
 * | written | needs `repository` |
 * | --- | --- |
 * | `owner/name#123`, `owner/name@1a2b3c4` | no |
 * | `#123`, `GH-123`, `1a2b3c4` (7 to 40 hex digits) | yes: without it they are ignored |
 *
 * Options: `baseUrl` (default `"https://github.com"`) and `repository` (`"owner/name"`, default none). Links
 * have GitHub's form, `<baseUrl>/<owner>/<name>/issues/<number>` and `…/commit/<sha>`. Forgejo and Gitea use it too. A link
 * to `issues` with the number of a pull request leads to the pull request.
 *
 * Details: a number is a `"pull_request"` if the text says so (`PR #12`). Not references: anything in code
 * or in a URL; hex colours, UUIDs, MD5 sums, file names, plain numbers and plain words that happen to be hex.
 */
import { type Enrichment, linkifier } from "@agentlip/plugin-runtime/plugin"
import { maxItems } from "./limits.ts"
import { prose } from "./markdown.ts"
import { namePattern, ownerPattern, type ReferenceConfig, referenceConfig } from "./reference-config.ts"
import { beginsWord, endsWord } from "./words.ts"

const repository = `${ownerPattern}\\/${namePattern}`
const number = "[1-9]\\d{0,8}(?!\\.?\\d)"
const sha = "[0-9a-f]{7,40}(?![.\\-\\/:=][\\p{L}\\p{N}])"
const reference = new RegExp(
  beginsWord(String.raw`.+\-\/@#$%&=\\`) +
    `(?:(?:(?<issueIn>${repository})?#|[Gg][Hh]-)(?<number>${number})|(?<commitIn>${repository})@(?<sha>${sha})|(?<!:)(?<bare>${sha}))` +
    endsWord,
  "gv"
)

const saysPullRequest = /\b(?:PRs?|pull requests?|pull)[ \t]*$/i

/** Hex that is probably no commit: all digits, all letters, `12e10`, or as long as an MD5 sum. */
const isDoubtfulSha = (sha: string): boolean => /^(?:\d+|[a-f]+|\d+e\d+)$/.test(sha) || sha.length === 32

function* findReferences(text: string, config: ReferenceConfig): Generator<Enrichment> {
  const searched = prose(text)
  for (const { 0: found, index: start, groups = {} } of searched.matchAll(reference)) {
    const repository = groups["issueIn"] ?? groups["commitIn"] ?? config.repository
    if (repository === undefined) continue
    const span = { start, end: start + found.length }
    const base = `${config.baseUrl}/${repository}`
    const { number, bare, sha = bare } = groups
    if (number !== undefined) {
      const before = searched.slice(Math.max(0, start - 20), start)
      const type = saysPullRequest.test(before) ? "pull_request" : "issue"
      const data = { type, repository, number: Number(number), url: `${base}/issues/${number}` }
      yield { kind: "reference", span, data }
    } else if (sha !== undefined && !(sha === bare && isDoubtfulSha(sha))) {
      yield {
        kind: "reference",
        span,
        data: { type: "commit", repository, sha, url: `${base}/commit/${sha}` }
      }
    }
  }
}

export default linkifier<ReferenceConfig>({
  name: "reference-linkifier",
  version: "1.0.0",
  configSchema: referenceConfig,
  enrich: ({ message, config }) => findReferences(message.content_raw, config).take(maxItems).toArray()
})
