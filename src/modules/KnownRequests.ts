/**
 * The module requests of guests after the entry, by plugin. The next guest of a plugin will probably make the same
 * ones.
 */
import { Lru } from "../cache/Lru.ts"
import { getOrMake } from "../getOrMake.ts"

interface Known {
  /** Requests as JSON. */
  readonly requests: Set<string>
  /** In characters, all requests together. */
  length: number
}

/** Limits, because the plugin chooses its requests and must not fill the host's memory. */
const maxPlugins = 200
const maxRequests = 1_000
const maxLength = 128 * 1024

export class KnownRequests {
  readonly #byPlugin = new Lru<Known>({ maxEntries: maxPlugins })

  of(plugin: string): ReadonlyArray<string> {
    return [...this.#of(plugin).requests]
  }

  add(plugin: string, request: string): void {
    const known = this.#of(plugin)
    if (known.requests.has(request) || known.requests.size >= maxRequests) return
    if (known.length + request.length > maxLength) return
    known.requests.add(request)
    known.length += request.length
  }

  /** Removes a request that no longer resolves. */
  drop(plugin: string, request: string): void {
    const known = this.#of(plugin)
    if (known.requests.delete(request)) known.length -= request.length
  }

  #of(plugin: string): Known {
    return getOrMake(this.#byPlugin, plugin, () => ({ requests: new Set(), length: 0 }))
  }
}
