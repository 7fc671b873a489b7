/** Limits the memory of all warm isolates together: over the limit, the least recently used idle ones end first. */
import type { PluginIsolate } from "./PluginIsolate.ts"

export class WarmMemory {
  /** MiB. */
  readonly #limit: number
  #weight = 0
  readonly #weights = new Map<PluginIsolate, number>()
  /** Idle isolates, least recently used first. */
  readonly #idle = new Set<PluginIsolate>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** `weight` in MiB. */
  add(isolate: PluginIsolate, weight: number): void {
    this.#weights.set(isolate, weight)
    this.#weight += weight
    this.#trim()
  }

  busy(isolate: PluginIsolate): void {
    this.#idle.delete(isolate)
  }

  idle(isolate: PluginIsolate): void {
    if (!this.#weights.has(isolate)) return
    this.#idle.delete(isolate)
    this.#idle.add(isolate)
    this.#trim()
  }

  remove(isolate: PluginIsolate): void {
    this.#weight -= this.#weights.get(isolate) ?? 0
    this.#weights.delete(isolate)
    this.#idle.delete(isolate)
  }

  #trim(): void {
    for (const isolate of this.#idle) {
      if (this.#weight <= this.#limit) return
      isolate.retire()
    }
  }
}
