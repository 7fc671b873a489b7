/** What guests have asked for after their entry, by plugin: the next guest will ask for it too. */
import { keyOf } from "../guest/ahead.ts"
import type { ModuleRequest } from "../guest/protocol.ts"

interface Known {
  readonly requests: Map<string, ModuleRequest>
  /** Characters of all keys. */
  length: number
}

/** What a plugin asks for is the plugin's to say: it must not fill the host's memory. */
const maxPlugins = 200
const maxRequests = 1_000
const maxLength = 128 * 1024

export class KnownRequests {
  /** Those not asked for longest make room for others: a map keeps the order its keys came in. */
  readonly #byPlugin = new Map<string, Known>()

  of(plugin: string): Known["requests"] {
    return this.#of(plugin).requests
  }

  add(plugin: string, request: ModuleRequest): void {
    const known = this.#of(plugin)
    const key = keyOf(request)
    if (known.requests.has(key) || known.requests.size >= maxRequests) return
    if (known.length + key.length > maxLength) return
    known.requests.set(key, request)
    known.length += key.length
  }

  /** It leads nowhere any more. */
  drop(plugin: string, key: string): void {
    const known = this.#of(plugin)
    if (known.requests.delete(key)) known.length -= key.length
  }

  #of(plugin: string): Known {
    const known = this.#byPlugin.get(plugin) ?? { requests: new Map(), length: 0 }
    this.#byPlugin.delete(plugin)
    this.#byPlugin.set(plugin, known)
    for (const oldest of this.#byPlugin.keys()) {
      if (this.#byPlugin.size <= maxPlugins) break
      this.#byPlugin.delete(oldest)
    }
    return known
  }
}
