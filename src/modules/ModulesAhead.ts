/** The modules that a guest gets with its entry, before it requests them, and how many they may be. */
import { type ModuleRequest, requestKey } from "../wire/modules.ts"
import type { Module } from "./moduleGraph.ts"

const maxBytes = 12 * 1024 * 1024
const maxModules = 2_500
const maxRequests = 25_000

/** In milliseconds. After this time the guest gets the modules found so far, and requests the others itself. */
const maxTime = 1_000

export interface Asked {
  readonly request: ModuleRequest
  readonly module: Module
}

export class ModulesAhead {
  /** By key, the entry first. */
  readonly asked = new Map<string, Asked>()
  /** By URL. */
  readonly modules = new Map<string, Module>()
  readonly #begun = performance.now()
  #size = 0

  constructor(entry: Asked) {
    this.add(entry)
  }

  get isFull(): boolean {
    return (
      this.#size > maxBytes ||
      this.modules.size > maxModules ||
      this.asked.size > maxRequests ||
      performance.now() - this.#begun > maxTime
    )
  }

  has(request: ModuleRequest): boolean {
    return this.asked.has(requestKey(request))
  }

  add(asked: Asked): void {
    const { request, module } = asked
    if (this.has(request)) return
    this.asked.set(requestKey(request), asked)
    if (this.modules.has(module.url)) return
    this.modules.set(module.url, module)
    this.#size += module.source.size
  }
}
