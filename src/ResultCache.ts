/**
 * Keeps the outputs of plugins with `cache: true`. The same content for the same plugin, config and modules gets the same
 * output without a run.
 *
 * **Details**
 *
 * - The key is a SHA-256 over everything that can change the output: the plugin's name, kind, config, limits and level,
 *   the runtime's version, the hash of its module graph, and the plugin's input. A kind with `content` gives a cached
 *   plugin only the content. So the same text posted again is a hit, and an output never has the id or time of another
 *   message.
 * - The cache keeps the output's JSON text, after it was decoded, and the version that the plugin's module states. Each
 *   hit is decoded and checked against the current input; a text that fails is a miss.
 * - A cached plugin runs with its module graph pinned (`integrity`) to the hash in the key, so an output is never kept
 *   under the hash of other modules.
 * - Failures are never kept. Two concurrent runs of one key both run. A hit runs nothing: it is returned even if the
 *   plugin's circuit is open, and does not count there.
 */
import { Context, Effect, Layer } from "effect"
import { hash } from "node:crypto"
import { Lru, sizeOf } from "./cache/Lru.ts"
import { SourceHashes } from "./cache/SourceHashes.ts"
import type { LoadError, PluginError } from "./Errors.ts"
import { flatMapNow, successOf } from "./exits.ts"
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

/** Keeps texts by key. Without it, specs with `cache: true` run every time. Never fails: a problem is a miss. */
export class ResultCache extends Context.Service<
  ResultCache,
  {
    readonly get: (key: string) => Effect.Effect<string | undefined>
    readonly set: (key: string, plugin: string, text: string) => Effect.Effect<void>
    readonly stats: Effect.Effect<CacheStats>
  }
>()("@agentlip/plugin-runtime/ResultCache") {
  /**
   * In memory, until the Layer closes. The least recently used texts are removed first.
   *
   * @example
   * ```ts
   * PluginRuntime.layer.pipe(Layer.provide(ResultCache.layerMemory({ bytes: 64 * 1024 * 1024 })))
   * ```
   */
  static readonly layerMemory = (bounds: CacheBounds = {}): Layer.Layer<ResultCache> =>
    Layer.sync(ResultCache, () => makeMemory(bounds))
}

const makeMemory = ({ entries = 10_000, bytes = 32 * 2 ** 20 }: CacheBounds): ResultCache["Service"] => {
  const lru = new Lru({ maxEntries: entries, maxSize: bytes, sizeOf })
  return {
    get: (key) => Effect.sync(() => lru.get(key)),
    // A copy, because a part of a longer string keeps all of it.
    set: (key, _, text) => Effect.sync(() => lru.set(key, Buffer.from(text).toString())),
    stats: Effect.sync(() => ({ entries: lru.entries, bytes: lru.size }))
  }
}

/** The order of the limits makes no difference. */
const sorted = (limits: object): unknown => Object.entries(limits).sort(([a], [b]) => (a < b ? -1 : 1))

/** In one call, because the object of `createHash` costs more than the hash of a short text. */
const digestOf = (text: string): string => hash("sha256", text, "base64url")

/** The digest of everything in a key but the input, so that a hit hashes little more than its input. */
const prefixOf = ({ name, kind, config, limits, isolation }: PluginSpec, integrity: string): string =>
  digestOf(
    JSON.stringify([
      // Of what is kept: see `Kept`.
      2,
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

/** What the cache keeps of an output. */
export interface Kept {
  /** The version that the plugin's module stated, if it is known. */
  readonly version: string | undefined
  /** The output's JSON. */
  readonly output: string
}

/** The version's JSON has no line feed. */
const textOf = ({ version, output }: Kept): string => `${JSON.stringify(version ?? null)}\n${output}`

/** `undefined` if it is not what was kept: others can write to a cache that is a table. */
const keptIn = (text: string): Kept | undefined => {
  const end = text.indexOf("\n")
  try {
    const version: unknown = JSON.parse(text.slice(0, Math.max(0, end)))
    if (version !== null && typeof version !== "string") return undefined
    return { version: version ?? undefined, output: text.slice(end + 1) }
  } catch {
    return undefined
  }
}

/** A spec pinned to its current modules, and the start of its keys. */
interface Pin<Spec extends PluginSpec> {
  readonly spec: Spec
  readonly integrity: string
  readonly prefix: string
}

/** A plugin whose runs can be cached. */
export interface Cacheable<Spec extends PluginSpec> {
  readonly spec: Spec
  /** Set by its cached runs. */
  pin: Pin<Spec> | undefined
}

/** How to make a run and judge its output. */
export interface CacheableRun<Spec extends PluginSpec, A> {
  /** Decodes an output's text for the current input. */
  readonly decode: (text: string) => Effect.Effect<A, PluginError>
  /** Runs a pinned spec, and calls `keep` with an output that was decoded. */
  readonly run: (spec: Spec, keep: (kept: Kept) => Effect.Effect<void>) => Effect.Effect<A, PluginError>
  readonly onHit: (version: string | undefined) => void
  readonly onMiss: () => void
}

export interface CachedRuns {
  readonly cached: <Spec extends PluginSpec, A>(
    plugin: Cacheable<Spec>,
    /** The JSON that the plugin gets. */
    input: string,
    how: CacheableRun<Spec, A>
  ) => Effect.Effect<A, PluginError>
  /** The spec that a run would have now: pinned, unless its modules cannot be hashed. */
  readonly pinned: <Spec extends PluginSpec>(plugin: Cacheable<Spec>) => Effect.Effect<Spec>
}

const keepNothing = (): Effect.Effect<void> => Effect.void

export const makeCachedRuns = (
  cache: ResultCache["Service"],
  /** Whether the plugin can run an earlier version if it fails to load. */
  hasEarlier: (spec: PluginSpec) => boolean
): CachedRuns => {
  const hashes = new SourceHashes()

  const pin = <Spec extends PluginSpec>(plugin: Cacheable<Spec>, integrity: string): Pin<Spec> => {
    const { spec, pin: known } = plugin
    if (known !== undefined && known.integrity === integrity) return known
    const pinned = { spec: { ...spec, integrity }, integrity, prefix: prefixOf(spec, integrity) }
    plugin.pin = pinned
    return pinned
  }

  const through = <Spec extends PluginSpec, A>(
    pinned: Pin<Spec>,
    input: string,
    how: CacheableRun<Spec, A>,
    /** What to do if the pinned modules fail to load. */
    otherwise: (error: LoadError) => Effect.Effect<A, PluginError>
  ): Effect.Effect<A, PluginError> => {
    // All prefixes have the same length, so no two pairs of prefix and input give the same text.
    const key = digestOf(pinned.prefix + input)
    const miss = Effect.suspend(() => {
      how.onMiss()
      return how.run(pinned.spec, (kept) => cache.set(key, pinned.spec.name, textOf(kept)))
    }).pipe(Effect.catchTag("LOAD_ERROR", otherwise))
    return Effect.flatMap(cache.get(key), (text) => {
      const kept = text === undefined ? undefined : keptIn(text)
      if (kept === undefined) return miss
      const hit = (output: A): Effect.Effect<A> => {
        how.onHit(kept.version)
        return Effect.succeed(output)
      }
      const decoded = how.decode(kept.output)
      const done = successOf(decoded)
      return done === undefined
        ? Effect.matchEffect(decoded, { onSuccess: hit, onFailure: () => miss })
        : hit(done.value)
    })
  }

  /** The plugin pinned to its modules as they are now; `undefined` if they cannot be hashed. */
  const current = <Spec extends PluginSpec>(
    plugin: Cacheable<Spec>
  ): Effect.Effect<Pin<Spec> | undefined> => {
    const { integrity, modulePath, timeout } = plugin.spec
    if (integrity !== undefined) return Effect.succeed(pin(plugin, integrity))
    const hash = hashes.of(modulePath)
    // The files are checked for every run, because they can change between two runs.
    return flatMapNow(hash.fresh ? Effect.succeed(hash.integrity) : hash.refresh(timeout), (integrity) =>
      Effect.succeed(integrity === undefined ? undefined : pin(plugin, integrity))
    )
  }

  return {
    cached: (plugin, input, how) =>
      Effect.suspend(() => {
        const { spec } = plugin
        const otherwise = (error: LoadError) => {
          if (spec.integrity !== undefined) return Effect.fail(error)
          // The files may have changed since the last check, so that they no longer match the pin.
          hashes.of(spec.modulePath).doubt()
          // An earlier version's output must not be cached as this version's.
          return hasEarlier(spec) ? how.run(spec, keepNothing) : Effect.fail(error)
        }
        return flatMapNow(current(plugin), (pinned) =>
          pinned === undefined
            ? // Modules that cannot be hashed fail to load too, and the run says why. That is not a miss.
              how.run(spec, keepNothing)
            : through(pinned, input, how, otherwise)
        )
      }),
    pinned: (plugin) =>
      Effect.suspend(() => Effect.map(current(plugin), (pinned) => pinned?.spec ?? plugin.spec))
  }
}
