/**
 * Links the URLs of a message: one enrichment of kind `"url"` per occurrence, `data` is `{ url, host }`.
 * The first 1,000; no options. `urls.ts` says what counts as a URL.
 *
 * @example
 * "See example.com/docs." → { kind: "url", span: { start: 4, end: 20 }, data: { url: "https://example.com/docs", host: "example.com" } }
 */
import { linkifier } from "@agentlip/plugin-runtime/plugin"
import { noOptions } from "./config.ts"
import { maxItems } from "./limits.ts"
import { findUrls } from "./urls.ts"

export default linkifier({
  name: "url-linkifier",
  version: "1.0.0",
  configSchema: noOptions,
  enrich: ({ message }) =>
    findUrls(message.content_raw)
      .take(maxItems)
      .map(({ start, end, url, host }) => ({ kind: "url", span: { start, end }, data: { url, host } }))
      .toArray()
})
