/**
 * Links the @mentions of a message: one enrichment of kind `"mention"` per occurrence, `data` is `{ name }`,
 * the span includes the `@`. The first 1,000; no options.
 *
 * Details: a name has 1 to 64 letters and digits of any script, underscores, and single dots or hyphens
 * within it; it begins with a letter. Not mentions: emails (`ann@example.com`), handles with a host
 * (`@ann@example.social`), package names (`@scope/package`), anything in code or in a URL.
 *
 * Gotchas: in scripts without spaces a name goes on until punctuation or a space ends it.
 *
 * @example
 * "Thanks @zoë!" → { kind: "mention", span: { start: 7, end: 11 }, data: { name: "zoë" } }
 */
import { type Enrichment, linkifier } from "@agentlip/plugin-runtime/plugin"
import { noOptions } from "./config.ts"
import { maxItems } from "./limits.ts"
import { prose } from "./markdown.ts"
import { beginsWord } from "./words.ts"

const word = String.raw`[\p{L}\p{M}\p{N}_]`
const name = String.raw`(?=_*\p{L})${word}(?:${word}|[.\-\u200c\u200d](?=${word})){0,63}`
const mention = new RegExp(
  `${beginsWord(String.raw`.+\-\/@#$%&=\\`)}@(${name})(?!${word}|[.\\-\\u200c\\u200d@\\/]${word})`,
  "gv"
)

/** The name without the underscores that close an emphasis: `_@ann_`. */
const withoutEmphasis = (name: string, before: string): string => {
  let end = name.length
  for (let left = before.length; before[left - 1] === "_" && name[end - 1] === "_"; left--) end--
  return name.slice(0, end)
}

function* findMentions(text: string): Generator<Enrichment> {
  const searched = prose(text)
  for (const { index: start, 1: found = "" } of searched.matchAll(mention)) {
    const before = searched.slice(Math.max(0, start - 3), start)
    // After a letter of a script without spaces, a name with a dot is the host of an email.
    if (/\p{L}$/v.test(before) && found.includes(".")) continue
    const name = withoutEmphasis(found, before)
    yield { kind: "mention", span: { start, end: start + 1 + name.length }, data: { name } }
  }
}

export default linkifier({
  name: "mention-linkifier",
  version: "1.0.0",
  configSchema: noOptions,
  enrich: ({ message }) => findMentions(message.content_raw).take(maxItems).toArray()
})
