/** Makes isolates that have loaded a plugin. */
import { Clock, Duration, Effect, Exit, Result } from "effect"
import * as path from "node:path"
import { checkUnmoved } from "../../capabilities/files.ts"
import { PluginTimeout } from "../../Errors.ts"
import type { ModuleLoader } from "../../modules/ModuleLoader.ts"
import type { Isolate } from "../isolate/Isolate.ts"
import { loadPlugin } from "../isolate/loadPlugin.ts"
import { crashed, unpreparedError } from "../isolate/pluginErrors.ts"
import type { IsolateFactory } from "../levels/IsolateFactory.ts"
import type { ResolvedPlugin } from "../ResolvedPlugin.ts"
import { pausedFor, timeoutAwake } from "../watch/HostPauses.ts"
import type { LastGood } from "./LastGood.ts"
import type { LevelIsolates } from "./LevelIsolates.ts"
import { PluginIsolate } from "./PluginIsolate.ts"
import type { PoolHost } from "./PoolHost.ts"

interface IsolateMakerOptions {
  readonly level: IsolateFactory
  readonly levelIsolates: LevelIsolates
  readonly lastGood: LastGood
  readonly loader: ModuleLoader["Service"] | undefined
  /** Gets the isolates that load a plugin now. */
  readonly loading: Set<Isolate>
  readonly made: (isolate: PluginIsolate) => void
  /** The isolate begins to load the plugin. */
  readonly works: (isolate: Isolate, resolved: ResolvedPlugin) => void
  readonly rests: (isolate: Isolate) => void
}

/** Everything but the load is uninterruptible, so that every isolate always has an owner. */
export const isolateMaker = ({
  level,
  levelIsolates: { end, sparesOf, zombies },
  lastGood,
  loader,
  loading,
  made,
  works,
  rests
}: IsolateMakerOptions): PoolHost["make"] => {
  const make: PoolHost["make"] = Effect.fnUntraced(
    function* (resolved, owner, submission) {
      const { spec, grants, recorder } = resolved
      const { timeout } = submission.spec
      const entry = path.resolve(spec.modulePath)
      const bootOptions = yield* Effect.mapError(
        Effect.andThen(checkUnmoved(grants), level.bootOptionsFor(spec, grants)),
        (error) => unpreparedError(spec, error)
      )
      const { integrity } = spec
      const keeping = { keep: lastGood.isEnabled, ...(integrity === undefined ? {} : { integrity }) }
      // The start of the host's first loader thread does not count towards the plugin's deadline.
      const modules =
        loader &&
        (yield* Effect.mapError(loader.open(entry, keeping), (error) => unpreparedError(spec, error)))
      // The loader works while an isolate boots or wakes up.
      modules?.readAhead()
      const spares = sparesOf(bootOptions, spec.reuse)
      const isolate = yield* spares.take.pipe(
        Effect.mapError((death) => crashed(spec, death)),
        Effect.onError(() => Effect.sync(() => modules?.close()))
      )
      works(isolate, resolved)
      loading.add(isolate)
      const began = performance.now()
      const load = loadPlugin(isolate, resolved, { entry, modules, labels: submission.labels })
      const loaded = yield* load.pipe(
        timeoutAwake(Duration.toMillis(timeout), (paused) => {
          const { waitsFor } = isolate
          return Effect.fail(
            new PluginTimeout({
              plugin: spec.name,
              timeout,
              phase: "load",
              ...(waitsFor === undefined ? {} : { waitingFor: waitsFor }),
              ...pausedFor(paused)
            })
          )
        }),
        Effect.interruptible,
        Effect.onExit((exit) => {
          rests(isolate)
          loading.delete(isolate)
          if (Exit.isSuccess(exit)) return Effect.void
          modules?.close()
          return Effect.flatMap(end(isolate), (gone) =>
            gone ? Effect.void : zombies.note(spec.name, isolate)
          ).pipe(Effect.andThen(spares.fill))
        }),
        Effect.result
      )
      if (Result.isFailure(loaded)) {
        return (yield* lastGood.canGoBack(spec, modules, loaded.failure))
          ? yield* make(resolved, owner, submission)
          : yield* loaded.failure
      }
      recorder.loaded(performance.now() - began)
      const pluginIsolate = new PluginIsolate({
        isolate,
        resolved,
        info: loaded.success,
        changed: modules?.changed ?? Effect.succeed(false),
        refill: spares.fill,
        owner,
        now: yield* Clock.currentTimeMillis
      })
      made(pluginIsolate)
      yield* lastGood.keep(spec, modules)
      return pluginIsolate
    },
    (effect, _resolved, _owner, { labels }) =>
      effect.pipe(Effect.annotateLogs(labels), Effect.uninterruptible)
  )
  return make
}
