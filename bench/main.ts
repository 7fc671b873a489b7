/**
 * `npm run bench`: the runtime, everything switched on, beside its peers in the same run. Contenders take
 * turns within each round, so that a slow minute of the machine is everybody's.
 *
 * Options: `--quick` (fewer calls), `--json FILE`, `--only SUITE,…` (warm, fresh, kill, breaker, posts).
 */
// Before any schema is used: an application turns the compiler on, a library does not.
import "effect/schema/SchemaJITCompiler/enable"
import { CircuitBreaker, PluginRuntime } from "@agentlip/plugin-runtime"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import {
  agentlip,
  bare,
  bareFresh,
  type Contender,
  makeRuntime,
  message,
  piscina,
  spansSpec,
  spinsSpec,
  tinypool,
  workerPool
} from "./contenders.ts"
import { postRows } from "./posts.ts"
import { json, type Row, table } from "./report.ts"
import { latencies, quantile, throughput } from "./stats.ts"

const { values: options } = parseArgs({
  options: { quick: { type: "boolean", default: false }, json: { type: "string" }, only: { type: "string" } }
})
const scale = options.quick ? 0.1 : 1
const rounds = options.quick ? 2 : 5
const times = (count: number): number => Math.max(1, Math.round(count * scale))

/** Measures every contender once a round. */
const alternate = async (
  suite: string,
  unit: string,
  contenders: ReadonlyArray<{ readonly name: string; readonly measure: () => Promise<number> }>,
  budget?: Row["budget"]
): Promise<ReadonlyArray<Row>> => {
  const figures = contenders.map(() => new Array<number>())
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) figures[index]?.push(await contender.measure())
  }
  return contenders.map(({ name }, index) => ({
    suite,
    unit,
    contender: name,
    rounds: figures[index] ?? [],
    ...(budget === undefined ? {} : { budget })
  }))
}

const withContenders = async (
  contenders: ReadonlyArray<Contender>,
  use: (contenders: ReadonlyArray<Contender>) => Promise<ReadonlyArray<Row>>
): Promise<ReadonlyArray<Row>> => {
  for (const contender of contenders) await throughput(16, times(3_000), contender.run)
  const rows = await use(contenders)
  for (const contender of contenders) await contender.close()
  return rows
}

const warm = (): Promise<ReadonlyArray<Row>> =>
  withContenders(
    [agentlip(), piscina(64), piscina(1), tinypool(), workerPool(), bare()],
    async (contenders) => [
      ...(await alternate(
        "warm, 64 callers, one worker (more is better)",
        "runs/s",
        contenders.map(({ name, run }) => ({ name, measure: () => throughput(64, times(20_000), run) })),
        { against: "piscina, 64 a worker", ratio: ">= 1.5" }
      )),
      ...(await alternate(
        "warm, one caller, p50 (less is better)",
        "us",
        contenders.map(({ name, run }) => ({
          name,
          measure: async () => quantile(await latencies(times(5_000), run), 0.5)
        })),
        { against: "bare postMessage", ratio: "<= 1.2" }
      )),
      ...(await alternate(
        "warm, one caller, p99 (less is better)",
        "us",
        contenders.map(({ name, run }) => ({
          name,
          measure: async () => quantile(await latencies(times(5_000), run), 0.99)
        }))
      ))
    ]
  )

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** Paced, so that a spare is ready for each call; what a hub's messages usually are. */
const paced = async (run: () => Promise<unknown>): Promise<number> => {
  const taken: Array<number> = []
  for (let call = 0; call < times(60); call++) {
    await sleep(120)
    taken.push(...(await latencies(1, run)))
  }
  return quantile(taken, 0.5)
}

const fresh = (): Promise<ReadonlyArray<Row>> => {
  const contender = agentlip({ ...spansSpec, name: "fresh", reuse: "never" })
  return withContenders([], async () => {
    await contender.run()
    const rows = await alternate(
      "fresh isolate a run, spare ready, p50 (less is better)",
      "us",
      [
        { name: "agentlip, reuse never", measure: () => paced(contender.run) },
        { name: "bare new Worker", measure: () => paced(bareFresh) }
      ],
      { against: "bare new Worker", ratio: "<= 0.15" }
    )
    await contender.close()
    return rows
  })
}

/** From the deadline of a spinning plugin to the caller's TIMEOUT, which comes when the thread is gone. */
const kill = async (): Promise<ReadonlyArray<Row>> => {
  const runtime = makeRuntime({ spares: 3 })
  const spin = Effect.flatMap(PluginRuntime, (plugins) => Effect.exit(plugins.run(spinsSpec, { message })))
  const load = Effect.flatMap(PluginRuntime, (plugins) => plugins.load(spinsSpec))
  const samples: Array<number> = []
  for (let call = 0; call < times(60); call++) {
    await runtime.runPromise(load)
    const [taken = Number.NaN] = await latencies(1, () => runtime.runPromise(spin))
    samples.push(taken / 1000 - 100)
  }
  await runtime.dispose()
  return [0.5, 0.95].map((q) => ({
    suite: "a spinning plugin: deadline -> isolate gone (budget: p95 <= 5 ms)",
    contender: `agentlip, p${q * 100}`,
    unit: "ms",
    rounds: [quantile(samples, q)]
  }))
}

const breaker = async (): Promise<ReadonlyArray<Row>> => {
  const runtime = makeRuntime()
  const service = await runtime.runPromise(Effect.flatMap(CircuitBreaker, Effect.succeed))
  const loop = (effect: Effect.Effect<void, unknown>) => Effect.repeat(effect, { times: times(200_000) })
  const cost = async (effect: Effect.Effect<void, unknown>): Promise<number> => {
    const begin = performance.now()
    await Effect.runPromise(loop(effect))
    return ((performance.now() - begin) * 1e6) / times(200_000)
  }
  const nothing = Effect.suspend(() => Effect.void)
  const rows = await alternate("circuit breaker, closed, a call (less is better)", "ns", [
    { name: "agentlip breaker", measure: () => cost(service.protect("bench")(nothing)) },
    { name: "no breaker", measure: () => cost(nothing) }
  ])
  await runtime.dispose()
  return rows
}

const suites: { readonly [name: string]: () => Promise<ReadonlyArray<Row>> } = {
  warm,
  fresh,
  kill,
  breaker,
  posts: () => postRows(options.quick)
}

const chosen = options.only?.split(",") ?? Object.keys(suites)
const rows: Array<Row> = []
for (const name of chosen) {
  const suite = suites[name]
  if (suite === undefined)
    throw new Error(`There is no suite "${name}"; there are ${Object.keys(suites).join(", ")}`)
  rows.push(...(await suite()))
}
process.stdout.write(`${table(rows)}\n`)
if (options.json !== undefined) writeFileSync(options.json, `${json(rows)}\n`)
