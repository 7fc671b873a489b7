/**
 * Where a warm run's time goes on the host's main thread: each stage by itself, in a loop, in nanoseconds. They are those
 * of one message per run; under load, messages are shared, and so is what they cost.
 */
import { CircuitBreaker, MessageInput, PluginRuntime, WorkerLayer } from "@agentlip/plugin-runtime"
import { Effect, Layer, ManagedRuntime, Schema, Semaphore } from "effect"
import { Worker } from "node:worker_threads"
import {
  bodyLengthOf,
  bodyOf,
  encodeEnd,
  encodeRun,
  makeTag,
  secretLength,
  tagOf
} from "../../src/wire/codec.ts"
import { Leftover, ReplyType } from "../../src/wire/messages.ts"
import { jsonSize } from "../../src/jsonSize.ts"
import { metricsLayer, PluginMetrics } from "../../src/Metrics.ts"
import { makeOutputDecoder } from "../../src/Output.ts"
import { spans } from "../contenders/agentlip.ts"
import { smallTask } from "../contenders/task.ts"
import { alternate, type Figure, type Suite } from "../figures.ts"
import { quantile } from "../stats.ts"
import { tables } from "../tables.ts"

interface Stage {
  readonly name: string
  /** Does it so many times; answers the milliseconds that took. */
  readonly loop: (times: number) => number | Promise<number>
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
    const begin = performance.now()
    for (let index = 0; index < times; index++) kept = once()
    return performance.now() - begin
  }
})

const effectful = (name: string, once: Effect.Effect<unknown, unknown>): Stage => ({
  name,
  loop: async (times) => {
    let index = 0
    const loop = Effect.whileLoop({
      while: () => index++ < times,
      body: () => once,
      step: (value) => {
        kept = value
      }
    })
    const begin = performance.now()
    await Effect.runPromise(loop)
    return performance.now() - begin
  }
})

/** A worker that listens to texts, and says so many when it is asked for them. */
const chatter = new URL("../peers/chatter.mjs", import.meta.url)

const messages = (worker: Worker): ReadonlyArray<Stage> => {
  const tag = makeTag("s".repeat(secretLength), 0)
  const request = encodeRun(tag, undefined, inputText)
  const text = encodeEnd(ReplyType.output, tag, Leftover.none, outputText)
  return [
    plain("message: post to a thread", () => worker.postMessage(request)),
    {
      name: "message: receive from a thread",
      loop: async (times) => {
        const received = new Promise<void>((resolve) => {
          let left = times
          const receive = (): void => {
            if (--left > 0) return
            worker.off("message", receive)
            resolve()
          }
          worker.on("message", receive)
        })
        const said = new Int32Array(new SharedArrayBuffer(4))
        worker.postMessage({ times, text, said })
        // All are there before the first is taken: what is measured does not wait for the worker.
        Atomics.wait(said, 0, 0)
        const begin = performance.now()
        await received
        return performance.now() - begin
      }
    }
  ]
}

const schemaStages = (schemas: Schemas): ReadonlyArray<Stage> => {
  const encode = Schema.encodeUnknownEffect(MessageInput)
  const decode = Schema.decodeUnknownEffect(spec.kind.output)
  const decodeOutput = makeOutputDecoder(spec)
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
      Effect.suspend(() => decodeOutput(input, outputText))
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
  const secret = "s".repeat(secretLength)
  const tag = makeTag(secret, 1)
  const reply = encodeEnd(ReplyType.output, tag, Leftover.none, outputText)
  let count = 0
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
    plain("message: a tag", () => makeTag(secret, count++)),
    ...messages(worker),
    plain("message: a reply's tag, length and body", () =>
      tagOf(reply) === tag && bodyLengthOf(reply) > 0 ? bodyOf(reply) : undefined
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

/** A round's loop is cut into so many; the lower quarter is what it takes where nothing else wants the processor. */
const batches = 20

/** How often fills a batch, found by doing it for as long as a round, which is the warm-up too. */
const timesFor = async ({ loop }: Stage, millis: number): Promise<number> => {
  for (let times = 256; ; times *= 2) {
    const taken = await loop(times)
    if (taken > millis / 2) return Math.ceil((times * millis) / taken / batches)
  }
}

const measure = async ({ loop }: Stage, times: number): Promise<number> => {
  gc?.()
  const taken: Array<number> = []
  for (let batch = 0; batch < batches; batch++) taken.push(((await loop(times)) * 1e6) / times)
  return quantile(taken, 0.25)
}

const suite =
  (schemas: Schemas): Suite =>
  async (scale) => {
    const worker = new Worker(chatter)
    const millis = Math.max(60, scale.turn / 4)
    const all: Array<Stage & { readonly times: number }> = []
    for (const stage of await stages(schemas, worker)) {
      all.push({ ...stage, times: await timesFor(stage, millis) })
    }
    // An engine goes on compiling for a while after code is first fast.
    for (const stage of all) await measure(stage, stage.times)
    const measured = await alternate(scale, all, (stage) => measure(stage, stage.times))
    await worker.terminate()
    await services.dispose()
    await withoutIsolate.dispose()
    return measured.map(
      ([{ name }, rounds]): Figure => ({
        table: tables.stages,
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
