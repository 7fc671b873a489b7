/**
 * Attaches the URLs of a message to its topic: one attachment of kind `"url"` per address, `value_json` is
 * `{ url, host, text }` with the text as first written. The first 1,000; no options. `urls.ts` says what counts as a URL.
 *
 * Details: the normalised URL is the `dedupe_key`, so `Example.com`, `https://example.com/` and
 * `https://example.com:443/?` are one attachment in a message and in its topic. Addresses with different fragments
 * (`/#install` and `/#usage`) differ, and so do `http:` and `https:`.
 */
import { extractor } from "@agentlip/plugin-runtime/plugin"
import { noOptions } from "./config.ts"
import { maxItems } from "./limits.ts"
import { findUrls, type FoundUrl } from "./urls.ts"

export default extractor({
  name: "url-extractor",
  version: "1.0.0",
  configSchema: noOptions,
  extract: ({ message }) => {
    const addresses = new Map<string, FoundUrl>()
    for (const found of findUrls(message.content_raw)) {
      if (!addresses.has(found.url)) addresses.set(found.url, found)
      if (addresses.size === maxItems) break
    }
    return Array.from(addresses.values(), ({ start, end, url, host }) => ({
      kind: "url",
      value_json: { url, host, text: message.content_raw.slice(start, end) },
      dedupe_key: url
    }))
  }
})
