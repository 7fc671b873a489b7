/**
 * Remembers what plugins with `cache: true` have answered: the same content for the same plugin, config and modules
 * is answered without a run.
 *
 * **Details**
 *
 * - The key is a SHA-256 over all that can make a difference: the plugin's name, its kind, config, limits and level,
 *   the runtime's version, the hash of its module graph, and the input that the plugin is given. A kind with
 *   `content` gives a cached plugin nothing but the content, so that the same text posted again is a hit and no id or
 *   time of one message can be in the answer for another.
 * - What is kept is the output's JSON text, and only once it was decoded. It is decoded and checked against the input
 *   at hand on every hit; a text that does not pass is no hit.
 * - A cached plugin runs with its module graph pinned (`integrity`) to the hash in the key: an answer is never kept
 *   under the hash of other modules than it came from.
 * - Failures are never kept. Two runs of one key side by side both run. A hit runs nothing: it is given even when the
 *   plugin's circuit is open, and counts for nothing there.
 */
import { Context, Effect, Layer } from "effect"
import { hash } from "node:crypto"
import { Lru } from "./cache/Lru.ts"
import { SourceHashes } from "./cache/SourceHashes.ts"
import type { LoadError, PluginError } from "./Errors.ts"
import { successOf } from "./exits.ts"
import type { PluginSpec } from "./Plugin.ts"

/** How full a cache is. */
export interface CacheStats {
  readonly entries: number
  readonly bytes: number
}

/** How much a cache may hold. */
export interface CacheBounds {
  /** Default 10,000. */
  readonly entries?: number
  /** Default 32 MiB. */
  readonly bytes?: number
}

/** Keeps texts by key. Without one, specs with `cache: true` run every time. Never fails: what it cannot say is a miss. */
export class ResultCache extends Context.Service<
  ResultCache,
  {
    readonly get: (key: string) => Effect.Effect<string | undefined>
    readonly set: (key: string, plugin: string, text: string) => Effect.Effect<void>
    readonly stats: Effect.Effect<CacheStats>
  }
>()("@agentlip/plugin-runtime/ResultCache") {
  /**
   * In memory, for as long as the Layer; what was not asked for longest goes first.
   *
   * @example
   * ```ts
   * PluginRuntime.layer.pipe(Layer.provide(ResultCache.layerMemory({ bytes: 64 * 1024 * 1024 })))
   * ```
   */
  static readonly layerMemory = (bounds: CacheBounds = {}): Layer.Layer<ResultCache> =>
    Layer.sync(ResultCache, () => makeMemory(bounds))

  /** Keeps nothing. */
  static readonly layerNone: Layer.Layer<ResultCache> = Layer.sync(ResultCache, () =>
    makeMemory({ entries: 0, bytes: 0 })
  )
}

const makeMemory = ({ entries = 10_000, bytes = 32 * 2 ** 20 }: CacheBounds): ResultCache["Service"] => {
  const lru = new Lru(entries, bytes)
  return {
    get: (key) => Effect.sync(() => lru.get(key)),
    // A copy, because a part of a longer string keeps all of it.
    set: (key, _, text) => Effect.sync(() => lru.set(key, Buffer.from(text).toString())),
    stats: Effect.sync(() => ({ entries: lru.entries, bytes: lru.bytes }))
  }
}

/** The limits' order is the caller's, and makes no difference. */
const sorted = (limits: object): unknown => Object.entries(limits).sort(([a], [b]) => (a < b ? -1 : 1))

/** In one call: the object that `createHash` makes costs more than a short text's hash. */
const digestOf = (text: string): string => hash("sha256", text, "base64url")

/** All of a key but the input; a digest, so that a hit hashes little more than its input. */
const prefixOf = ({ name, kind, config, limits, isolation }: PluginSpec, integrity: string): string =>
  digestOf(
    JSON.stringify([
      1,
      name,
      kind.name,
      kind.method,
      config,
      sorted(limits),
      isolation,
      process.version,
      integrity
    ])
  )

/** A spec whose modules are known, and how its keys begin. */
interface Pinned<Spec> {
  readonly spec: Spec
  readonly integrity: string
  readonly prefix: string
}

/** How a run is made and judged. */
export interface Cacheable<Spec extends PluginSpec, A> {
  /** Decodes an output's text for the input at hand. */
  readonly decode: (text: string) => Effect.Effect<A, PluginError>
  /** Runs the spec it is given, which is pinned; calls `keep` with an output's text that was decoded. */
  readonly run: (spec: Spec, keep: (text: string) => Effect.Effect<void>) => Effect.Effect<A, PluginError>
  readonly onResult: (result: "hit" | "miss") => void
}

/** Runs specs by way of a cache. */
export interface CachedRuns {
  readonly cached: <Spec extends PluginSpec, A>(
    spec: Spec,
    /** The JSON of what the plugin is given. */
    input: string,
    how: Cacheable<Spec, A>
  ) => Effect.Effect<A, PluginError>
  /** The spec that a run of this one would have now; itself where its modules cannot be hashed. */
  readonly pinned: <Spec extends PluginSpec>(spec: Spec) => Effect.Effect<Spec>
}

const keepNothing = (): Effect.Effect<void> => Effect.void

/** For the runtime: what stands between its callers and its runs where a spec says `cache: true`. */
export const makeCachedRuns = (
  cache: ResultCache["Service"],
  /** Whether a plugin that does not load can go on with an earlier version. */
  hasEarlier: (spec: PluginSpec) => boolean
): CachedRuns => {
  const hashes = new SourceHashes()
  const pins = new WeakMap<PluginSpec, Pinned<PluginSpec>>()

  const pin = <Spec extends PluginSpec>(spec: Spec, integrity: string): Pinned<Spec> => {
    const known = pins.get(spec)
    // A pin is only ever kept for the spec it was made of.
    if (known !== undefined && known.integrity === integrity) return known as Pinned<Spec>
    const pinned = { spec: { ...spec, integrity }, integrity, prefix: prefixOf(spec, integrity) }
    pins.set(spec, pinned)
    return pinned
  }

  const through = <Spec extends PluginSpec, A>(
    pinned: Pinned<Spec>,
    input: string,
    how: Cacheable<Spec, A>,
    /** What is done where the pinned modules do not load. */
    otherwise: (error: LoadError) => Effect.Effect<A, PluginError>
  ): Effect.Effect<A, PluginError> => {
    // Prefixes are of one length, so that no prefix and input are another's.
    const key = digestOf(pinned.prefix + input)
    const miss = Effect.suspend(() => {
      how.onResult("miss")
      return how.run(pinned.spec, (text) => cache.set(key, pinned.spec.name, text))
    }).pipe(Effect.catchTag("LOAD_ERROR", otherwise))
    const hit = (output: A): Effect.Effect<A> => {
      how.onResult("hit")
      return Effect.succeed(output)
    }
    return Effect.flatMap(cache.get(key), (text) => {
      if (text === undefined) return miss
      const decoded = how.decode(text)
      const done = successOf(decoded)
      return done === undefined
        ? Effect.matchEffect(decoded, { onSuccess: hit, onFailure: () => miss })
        : hit(done.value)
    })
  }

  return {
    // Looked at whenever it is run, however often: between two runs the files can change.
    cached: (spec, input, how) =>
      Effect.suspend(() => {
        if (spec.integrity !== undefined) {
          return through(pin(spec, spec.integrity), input, how, Effect.fail)
        }
        const hash = hashes.of(spec.modulePath)
        const otherwise = (error: LoadError) => {
          // It may be that the files have changed since they were last looked at, and are not what is pinned.
          hash.doubt()
          // What an earlier version answers is not to be kept as this one's.
          return hasEarlier(spec) ? how.run(spec, keepNothing) : Effect.fail(error)
        }
        const go = (integrity: string | undefined) =>
          integrity === undefined
            ? // Modules that cannot be hashed do not load either, and the run says why; that is no miss.
              how.run(spec, keepNothing)
            : through(pin(spec, integrity), input, how, otherwise)
        return hash.fresh ? go(hash.integrity) : Effect.flatMap(hash.refresh(spec.timeout), go)
      }),
    pinned: (spec) =>
      Effect.suspend(() => {
        if (spec.integrity !== undefined) return Effect.succeed(spec)
        const hash = hashes.of(spec.modulePath)
        const go = (integrity: string | undefined) =>
          integrity === undefined ? spec : pin(spec, integrity).spec
        return hash.fresh ? Effect.succeed(go(hash.integrity)) : Effect.map(hash.refresh(spec.timeout), go)
      })
  }
}
