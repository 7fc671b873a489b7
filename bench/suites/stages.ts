/**
 * Where a warm run's time goes on the host's main thread: each stage by itself, in a loop, in nanoseconds of CPU of
 * that thread. They are those of one message per run; under load, messages are shared, and so is what they cost.
 */
import { CircuitBreaker, MessageInput, PluginRuntime, WorkerLayer } from "@agentlip/plugin-runtime"
import { Effect, Layer, ManagedRuntime, Schema, Semaphore } from "effect"
import { randomUUID } from "node:crypto"
import { Worker } from "node:worker_threads"
import { nonceLength } from "../../src/guest/protocol.ts"
import { jsonSize } from "../../src/jsonSize.ts"
import { metricsLayer, PluginMetrics } from "../../src/Metrics.ts"
import { decodeOutput } from "../../src/Output.ts"
import { spans } from "../contenders/agentlip.ts"
import { smallTask } from "../contenders/task.ts"
import { alternate, type Figure, type Scale, type Suite } from "../figures.ts"

interface Stage {
  readonly name: string
  /** Does it so many times. */
  readonly loop: (times: number) => void | Promise<void>
}

/** Whether the application has switched the schema compiler on; both are measured, each in a process of its own. */
type Schemas = "compiled" | "interpreted"

const { input, expected } = smallTask
const inputText = JSON.stringify(input)
const outputText = JSON.stringify(expected)
const spec = spans("thread")

/** What a loop gives is kept, so that it cannot be left out as useless. */
let kept: unknown

const plain = (name: string, once: () => unknown): Stage => ({
  name,
  loop: (times) => {
    for (let index = 0; index < times; index++) kept = once()
  }
})

const effectful = (name: string, once: Effect.Effect<unknown, unknown>): Stage => ({
  name,
  loop: (times) => {
    let index = 0
    const loop = Effect.whileLoop({
      while: () => index++ < times,
      body: () => once,
      step: (value) => {
        kept = value
      }
    })
    return Effect.runPromise(Effect.asVoid(loop))
  }
})

/** A worker that answers every message, or that says so many things when it is asked for them. */
const chatter = new URL("../peers/chatter.mjs", import.meta.url)

const messages = (worker: Worker): ReadonlyArray<Stage> => [
  {
    name: "message: post to a thread",
    loop: (times) => {
      const text = `R${randomUUID()}${inputText}`
      for (let index = 0; index < times; index++) worker.postMessage(text)
    }
  },
  {
    name: "message: receive from a thread",
    loop: (times) =>
      new Promise((resolve) => {
        let left = times
        const receive = (): void => {
          if (--left > 0) return
          worker.off("message", receive)
          resolve()
        }
        worker.on("message", receive)
        worker.postMessage({ times, text: `O${randomUUID()}0${outputText}` })
      })
  }
]

const schemaStages = (schemas: Schemas): ReadonlyArray<Stage> => {
  const encode = Schema.encodeUnknownEffect(MessageInput)
  const decode = Schema.decodeUnknownEffect(spec.kind.output)
  return [
    effectful(
      `input: encode, ${schemas}`,
      Effect.suspend(() => encode(input))
    ),
    effectful(
      `output: decode, ${schemas}`,
      Effect.suspend(() => decode(expected))
    ),
    effectful(
      `output: size, parse, shape, decode, check, ${schemas}`,
      Effect.suspend(() => decodeOutput(spec, input, outputText))
    )
  ]
}

const services = ManagedRuntime.make(Layer.mergeAll(CircuitBreaker.layer(), metricsLayer))

/** All of a run but its isolate: a fake that answers at once. */
const withoutIsolate = ManagedRuntime.make(
  PluginRuntime.layer.pipe(
    Layer.provideMerge(CircuitBreaker.layer()),
    Layer.provideMerge(metricsLayer),
    Layer.provide(WorkerLayer.layerTest({ [spec.name]: () => Effect.succeed(expected) }))
  )
)

const stages = async (schemas: Schemas, worker: Worker): Promise<ReadonlyArray<Stage>> => {
  const plugins = await withoutIsolate.runPromise(PluginRuntime)
  const whole = effectful(`all but the isolate, ${schemas}`, plugins.run(spec, input))
  // The rest has nothing to do with schemas.
  if (schemas === "interpreted") return [...schemaStages(schemas), whole]
  const breaker = await services.runPromise(CircuitBreaker)
  const recorder = (await services.runPromise(PluginMetrics)).of(spec)
  const queue = Semaphore.makeUnsafe(1)
  const nothing = Effect.suspend(() => Effect.void)
  const nonce = randomUUID()
  const reply = `O${nonce}0${outputText}`
  const ended = {
    outcome: "ok",
    queued: 0.1,
    ran: 0.1,
    bytesIn: inputText.length,
    bytesOut: outputText.length
  } as const
  return [
    plain("a loop's turn", () => undefined),
    effectful("an effect's turn", nothing),
    ...schemaStages(schemas),
    plain("input: JSON.stringify", () => JSON.stringify(input)),
    plain("message: a nonce", () => randomUUID()),
    ...messages(worker),
    plain("message: a reply's nonce and body", () =>
      reply.slice(1, 1 + nonceLength) === nonce ? reply.slice(2 + nonceLength) : undefined
    ),
    plain("output: size", () => jsonSize(outputText, { values: 1_000, depth: 32 })),
    plain("output: JSON.parse", () => JSON.parse(outputText)),
    effectful("breaker: check", breaker.check(spec.name)),
    effectful("breaker: protect", breaker.protect(spec.name)(nothing)),
    effectful("queue: a permit", Semaphore.withPermit(queue, nothing)),
    effectful("a scope", Effect.scoped(nothing)),
    effectful(
      "a timer per run (not taken where one watchdog per isolate is)",
      Effect.timeout(nothing, 5_000)
    ),
    effectful("log annotations", Effect.annotateLogs(nothing, { plugin: spec.name, run: "spans#1" })),
    effectful(
      "a span",
      nothing.pipe(
        Effect.withSpan(
          "plugin.run",
          { attributes: { "plugin.name": spec.name } },
          { captureStackTrace: false }
        )
      )
    ),
    plain("metrics: a run", () => recorder.ended(ended)),
    whole
  ]
}

const measure = async (scale: Scale, { loop }: Stage): Promise<number> => {
  // As often as fills a turn, found by doing it.
  let times = 64
  for (let begin = performance.now(); ; begin = performance.now(), times *= 2) {
    await loop(times)
    if (performance.now() - begin > scale.turn / 20) break
  }
  gc?.()
  const before = process.threadCpuUsage()
  await loop(times * 4)
  const { user, system } = process.threadCpuUsage(before)
  return ((user + system) * 1000) / (times * 4)
}

const suite =
  (schemas: Schemas): Suite =>
  async (scale) => {
    const worker = new Worker(chatter)
    const all = await stages(schemas, worker)
    for (const stage of all) await measure(scale, stage)
    const measured = await alternate(scale.rounds, all, (stage) => measure(scale, stage))
    await worker.terminate()
    await services.dispose()
    await withoutIsolate.dispose()
    return measured.map(
      ([{ name }, rounds]): Figure => ({
        table: "stages of a run on the host's main thread, CPU",
        contender: name,
        unit: "ns",
        better: "less",
        rounds
      })
    )
  }

export const stagesCompiled = suite("compiled")
export const stagesInterpreted = suite("interpreted")
/** What was measured last; read by nobody, so that loops are not empty. */
export const last = (): unknown => kept
