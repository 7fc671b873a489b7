/**
 * Tries plugins on texts for their authors, beside the runs for messages.
 *
 * **Details**
 *
 * - Each dry run has a runtime of its own: new isolates that load the files as they are now, a circuit, metrics and no
 *   result cache. So it changes nothing of the plugin in the hub: no circuit, no count, no job, no log line.
 * - The plugin has the settings of the newest entry in the config file, even if the hub does not use that entry because
 *   the plugin fails to load with it. A module that no entry names runs as a process without grants.
 * - The plugin's own limits hold. A few dry runs go on at the same time; further ones are refused.
 */
import {
  type Attachment,
  type ConfiguredSpec,
  CurrentRunObserver,
  type Enrichment,
  extractor,
  grantsSnippet,
  linkifier,
  makeSpec,
  type PluginError,
  PluginRuntime,
  WorkerLayer,
  type WorkerOptions
} from "@agentlip/plugin-runtime"
import { type DryRun, InvalidInput, NotFound, ServiceUnavailable } from "@agentlip/protocol"
import { Context, Effect, Layer, Logger, Metric, Option, Result, Semaphore } from "effect"
import * as path from "node:path"
import { moduleIn } from "../workspace/moduleIn.ts"
import { Workspace } from "../workspace/Workspace.ts"
import { runtimeLayer, withItsKind } from "./DryRun.ts"
import { DryRunRecord } from "./DryRunRecord.ts"
import { rounded } from "./PluginDetails.ts"
import { problemOf } from "./PluginProblem.ts"
import { namedRedactorOf, Secrets } from "./Secrets.ts"
import { Specs } from "./Specs.ts"

/** Dry runs at the same time, of all clients. */
const atOnce = 2

export interface AskedDryRun {
  readonly text: string
  readonly plugin?: string | undefined
  readonly module_path?: string | undefined
}

/** A plugin to try. */
interface Candidate {
  readonly spec: ConfiguredSpec
  readonly isConfigured: boolean
}

/** What a run returned, by the plugin's kind. */
interface Output {
  readonly enrichments: ReadonlyArray<Enrichment>
  readonly attachments: ReadonlyArray<Attachment>
}

const nothing: Output = { enrichments: [], attachments: [] }

const run = (spec: ConfiguredSpec, text: string): Effect.Effect<Output, PluginError, PluginRuntime> =>
  Effect.flatMap(PluginRuntime, (runtime) => {
    const message = {
      id: "message-1",
      content_raw: text,
      sender: "me",
      topic_id: "topic-1",
      channel_id: "channel-1",
      created_at: new Date().toISOString()
    }
    return spec.kind.name === extractor.name
      ? Effect.map(runtime.run({ ...spec, kind: extractor }, { message }), (attachments) => ({
          ...nothing,
          attachments
        }))
      : Effect.map(runtime.run({ ...spec, kind: linkifier }, { message }), (enrichments) => ({
          ...nothing,
          enrichments
        }))
  })

/** Loads and runs a plugin. Fails only with what is no result of the plugin. */
const tryOut = Effect.fnUntraced(function* (
  { spec: given, isConfigured }: Candidate,
  text: string,
  root: string,
  redact: (text: string) => string
) {
  const observer = new DryRunRecord(redact)
  let load_ms: number | null = null
  let version: string | null = null
  const found = isConfigured ? Result.succeed(given) : yield* Effect.result(withItsKind(given))
  const spec = Result.getOrElse(found, () => given)
  const result = yield* Effect.fromResult(found).pipe(
    Effect.andThen(
      Effect.gen(function* () {
        const since = performance.now()
        const info = yield* PluginRuntime.use((runtime) => runtime.load(spec))
        load_ms = rounded(performance.now() - since)
        version = redact(info.version)
        return yield* run(spec, text)
      })
    ),
    Effect.provideService(CurrentRunObserver, observer),
    Effect.result
  )
  const needs = (yield* WorkerLayer.use(({ audits }) => audits)).get(spec.name) ?? {}
  const isUsed = Object.values(needs).some((what) => what.length > 0)
  const { queued, ran } = observer.observed ?? {}
  const { name, kind, modulePath, isolation, enforcement, grants } = spec
  const dryRun: DryRun = {
    plugin: {
      name,
      kind: kind.name,
      version,
      module_path: modulePath,
      isolation,
      enforcement,
      grants,
      is_configured: isConfigured
    },
    ...Result.getOrElse(result, () => nothing),
    error: Result.isFailure(result) ? problemOf(result.failure, spec, redact) : null,
    logs: observer.lines,
    logs_left_out: observer.leftOut,
    load_ms,
    queue_ms: queued === undefined ? null : rounded(queued),
    run_ms: ran === undefined ? null : rounded(ran),
    audit_snippet: enforcement === "audit" && isUsed ? redact(grantsSnippet(grants, needs, root)) : ""
  }
  return dryRun
})

const busy = new ServiceUnavailable({
  error: `${atOnce} dry runs go on already; try again when one has ended`
})

export class DryRuns extends Context.Service<
  DryRuns,
  {
    /** Runs a plugin on a text. What the plugin does wrong is in the result. */
    readonly run: (asked: AskedDryRun) => Effect.Effect<DryRun, InvalidInput | NotFound | ServiceUnavailable>
  }
>()("@agentlip/hub/DryRuns") {
  static readonly layer = (
    options: Pick<WorkerOptions, "node"> = {}
  ): Layer.Layer<DryRuns, never, Secrets | Specs | Workspace> =>
    Layer.effect(
      DryRuns,
      Effect.gen(function* () {
        const specs = yield* Specs
        const secrets = yield* Secrets
        const { root } = yield* Workspace
        const permits = yield* Semaphore.make(atOnce)
        // Nothing is shared with the hub's own runtime.
        const runtime = Layer.fresh(runtimeLayer(root, options))

        const configured = (isIt: (spec: ConfiguredSpec) => boolean): Candidate | undefined => {
          const refused = [...specs.refused().values()].map(({ spec }) => spec)
          const spec = [...refused, ...specs.current()].find(isIt)
          return spec === undefined ? undefined : { spec, isConfigured: true }
        }

        const byName = (name: string): Effect.Effect<Candidate, NotFound> => {
          const known = configured((spec) => spec.name === name)
          if (known !== undefined) return Effect.succeed(known)
          const error = `No plugin of the name ${JSON.stringify(name)} is configured; GET /api/v1/plugins lists them`
          return Effect.fail(new NotFound({ error }))
        }

        const byPath = (given: string): Effect.Effect<Candidate, InvalidInput> => {
          const found = moduleIn(root, given)
          if (Result.isFailure(found))
            return Effect.fail(new InvalidInput({ error: `module_path: ${found.failure}` }))
          const file = found.success
          const spec = makeSpec({
            name: path.basename(file).replace(/\.[^.]+$/, ""),
            kind: linkifier,
            modulePath: file,
            isolation: "process"
          })
          return Effect.succeed(
            configured(({ modulePath }) => modulePath === file) ?? { spec, isConfigured: false }
          )
        }

        const candidateOf = ({
          plugin,
          module_path
        }: AskedDryRun): Effect.Effect<Candidate, InvalidInput | NotFound> => {
          if (plugin !== undefined && module_path === undefined) return byName(plugin)
          if (module_path !== undefined && plugin === undefined) return byPath(module_path)
          return Effect.fail(new InvalidInput({ error: "Pass plugin or module_path, not both" }))
        }

        return DryRuns.of({
          run: Effect.fnUntraced(function* (asked) {
            const candidate = yield* candidateOf(asked)
            // The cache holds results of the hub's own runs.
            const spec: ConfiguredSpec = { ...candidate.spec, cache: false }
            const own = namedRedactorOf(spec)
            const redact = (text: string): string => secrets.hub().text(own.text(text))
            const ran = yield* tryOut({ ...candidate, spec }, asked.text, root, redact).pipe(
              Effect.provide(runtime),
              Effect.provideService(Metric.MetricRegistry, new Map()),
              Effect.provideService(Logger.CurrentLoggers, new Set()),
              Effect.withTracerEnabled(false),
              Effect.catchTag("UnsupportedRuntime", ({ message }) =>
                Effect.fail(new ServiceUnavailable({ error: message }))
              ),
              permits.withPermitsIfAvailable(1)
            )
            return yield* Option.match(ran, { onNone: () => Effect.fail(busy), onSome: Effect.succeed })
          })
        })
      })
    )
}
