/** What guests have asked for after their entry, by plugin: the next guest will ask for it too. */

interface Known {
  /** JSON of requests. */
  readonly requests: Set<string>
  /** Characters of all of them. */
  length: number
}

/** What a plugin asks for is the plugin's to say: it must not fill the host's memory. */
const maxPlugins = 200
const maxRequests = 1_000
const maxLength = 128 * 1024

export class KnownRequests {
  /** Those not asked for longest make room for others: a map keeps the order its keys came in. */
  readonly #byPlugin = new Map<string, Known>()

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

  /** It leads nowhere any more. */
  drop(plugin: string, request: string): void {
    const known = this.#of(plugin)
    if (known.requests.delete(request)) known.length -= request.length
  }

  #of(plugin: string): Known {
    const known = this.#byPlugin.get(plugin) ?? { requests: new Set(), length: 0 }
    this.#byPlugin.delete(plugin)
    this.#byPlugin.set(plugin, known)
    for (const oldest of this.#byPlugin.keys()) {
      if (this.#byPlugin.size <= maxPlugins) break
      this.#byPlugin.delete(oldest)
    }
    return known
  }
}
