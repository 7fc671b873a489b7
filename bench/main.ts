/**
 * `npm run bench`: the runtime, everything switched on, beside its peers in the same run. Contenders take
 * turns within each round, so that a slow minute of the machine is everybody's.
 *
 * Options: `--quick` (fewer calls), `--json FILE`, `--only SUITE,…` (warm, fresh, kill, breaker, posts).
 */
// Before any schema is used: an application turns the compiler on, a library does not.
import "effect/schema/SchemaJITCompiler/enable"
import { CircuitBreaker, PluginRuntime } from "@agentlip/plugin-runtime"
import { Duration, Effect } from "effect"
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import {
  agentlip,
  availableLevels,
  bare,
  bareFresh,
  bareSpawn,
  type Contender,
  makeRuntime,
  message,
  on,
  piscina,
  spansSpec,
  spinsSpec,
  tinypool,
  workerPool
} from "./contenders.ts"
import { postRows } from "./posts.ts"
import { type Budget, json, type Row, table } from "./report.ts"
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
  budgets: { readonly [contender: string]: Budget } = {}
): Promise<ReadonlyArray<Row>> => {
  const figures = contenders.map(() => new Array<number>())
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) figures[index]?.push(await contender.measure())
  }
  return contenders.map(({ name }, index) => {
    const budget = budgets[name]
    const rounds = figures[index] ?? []
    return { suite, unit, contender: name, rounds, ...(budget === undefined ? {} : { budget }) }
  })
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
    [
      ...levels.map((level) => agentlip(on(level, spansSpec))),
      piscina(64),
      piscina(1),
      tinypool(),
      workerPool(),
      bare()
    ],
    async (contenders) => [
      ...(await alternate(
        "warm, 64 callers, one worker (more is better)",
        "runs/s",
        contenders.map(({ name, run }) => ({ name, measure: () => throughput(64, times(20_000), run) })),
        {
          agentlip: { against: "piscina, 64 a worker", ratio: ">= 1.5" },
          "agentlip, process": { against: "agentlip", ratio: ">= 0.77" }
        }
      )),
      ...(await alternate(
        "warm, one caller, p50 (less is better)",
        "us",
        contenders.map(({ name, run }) => ({
          name,
          measure: async () => quantile(await latencies(times(5_000), run), 0.5)
        })),
        { agentlip: { against: "bare postMessage", ratio: "<= 1.2" } }
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

const fresh = async (): Promise<ReadonlyArray<Row>> => {
  const contenders = levels.map((level) => agentlip({ ...on(level, spansSpec), reuse: "never" }))
  for (const { run } of contenders) await run()
  const rows = await alternate(
    "fresh isolate a run, spare ready, p50 (less is better)",
    "us",
    [
      ...contenders.map(({ name, run }) => ({ name, measure: () => paced(run) })),
      { name: "bare new Worker", measure: () => paced(bareFresh) },
      { name: "bare spawn of node", measure: () => paced(bareSpawn) }
    ],
    {
      agentlip: { against: "bare new Worker", ratio: "<= 0.15" },
      "agentlip, process": { against: "bare spawn of node", ratio: "<= 0.1" }
    }
  )
  for (const { close } of contenders) await close()
  return rows
}

/** From the deadline of a spinning plugin to the caller's TIMEOUT, which comes when the isolate is gone. */
const kill = async (): Promise<ReadonlyArray<Row>> => {
  const runtime = makeRuntime({ spares: 3, prepare: levels })
  const spinners = levels.map((level) => {
    const spec = { ...on(level, spinsSpec), name: `spins-${level}` }
    return {
      level,
      load: Effect.flatMap(PluginRuntime, (plugins) => plugins.load(spec)),
      spin: Effect.flatMap(PluginRuntime, (plugins) => Effect.exit(plugins.run(spec, { message }))),
      samples: new Array<number>()
    }
  })
  for (let call = 0; call < times(60); call++) {
    for (const { load, spin, samples } of spinners) {
      await runtime.runPromise(load)
      // Spares are being booted again; what is measured is the kill.
      await sleep(150)
      const [taken = Number.NaN] = await latencies(1, () => runtime.runPromise(spin))
      samples.push(taken / 1000 - Duration.toMillis(spinsSpec.timeout))
    }
  }
  await runtime.dispose()
  return spinners.flatMap(({ level, samples }) =>
    [0.5, 0.95].map((q) => ({
      suite: "a spinning plugin: deadline -> isolate gone (budget: p95 <= 5 ms)",
      contender: `agentlip, ${level}, p${q * 100}`,
      unit: "ms",
      rounds: [quantile(samples, q)]
    }))
  )
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

const notes: Array<string> = []
const levels = await availableLevels((note) => notes.push(note))
const chosen = options.only?.split(",") ?? Object.keys(suites)
const rows: Array<Row> = []
for (const name of chosen) {
  const suite = suites[name]
  if (suite === undefined)
    throw new Error(`There is no suite "${name}"; there are ${Object.keys(suites).join(", ")}`)
  rows.push(...(await suite()))
}
process.stdout.write(`${[table(rows), ...notes].join("\n")}\n`)
if (options.json !== undefined) writeFileSync(options.json, `${json(rows)}\n`)
