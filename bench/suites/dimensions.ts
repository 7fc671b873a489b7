/** How throughput goes with the number of callers, the size of a message and the number of isolates. */
import type { Contender } from "../contenders/Contender.ts"
import { costOf, throughput, withContenders } from "../contenders/Contender.ts"
import { agentlip, spans } from "../contenders/agentlip.ts"
import { bareThread } from "../contenders/bare.ts"
import { piscina } from "../contenders/pools.ts"
import { makeTask, smallTask, type Task } from "../contenders/task.ts"
import { alternate, type Figure, type Scale, type Suite } from "../figures.ts"
import { tables } from "../tables.ts"

const measure = async (
  scale: Scale,
  table: string,
  contenders: ReadonlyArray<Contender>,
  callers: number
): Promise<ReadonlyArray<Figure>> => {
  const measured = await alternate(
    scale,
    contenders,
    (contender) => throughput(contender, callers, scale.turn / 2),
    { most: 3, share: 0.15 }
  )
  return measured.map(([{ name }, rounds]) => ({
    table,
    contender: name,
    unit: "runs/s",
    better: "more",
    rounds: rounds.map(({ perSecond }) => perSecond),
    cost: costOf(rounds)
  }))
}

/** Without wasm: a run of it costs ten times as much, whatever the dimension. */
const withoutWasm = (levels: Parameters<Suite>[1]) => levels.filter((level) => level !== "wasm")

const everyone = async (levels: Parameters<Suite>[1], task: Task): Promise<ReadonlyArray<Contender>> => [
  ...(await Promise.all(withoutWasm(levels).map((level) => agentlip(spans(level), task)))),
  piscina(task, 64, "async"),
  bareThread(task)
]

export const callers: Suite = async (scale, levels) =>
  withContenders(await everyone(levels, smallTask), scale, async (contenders) => {
    const figures: Array<Figure> = []
    for (const count of scale.quick ? [1, 16, 1024] : [1, 4, 16, 256, 1024]) {
      figures.push(...(await measure(scale, `callers: ${count}`, contenders, count)))
    }
    return figures
  })

const kibibyte = 1024

export const sizes: Suite = async (scale, levels) => {
  const figures: Array<Figure> = []
  for (const bytes of scale.quick ? [64 * kibibyte] : [kibibyte, 8 * kibibyte, 64 * kibibyte]) {
    const table = tables.size(bytes / kibibyte)
    figures.push(
      ...(await withContenders(await everyone(levels, makeTask(bytes)), scale, (contenders) =>
        measure(scale, table, contenders, 64)
      ))
    )
  }
  return figures
}

export const isolates: Suite = async (scale, levels) => {
  const figures: Array<Figure> = []
  for (const concurrency of scale.quick ? [2] : [2, 4]) {
    const contenders = [
      ...(await Promise.all(
        withoutWasm(levels).map((level) => agentlip(spans(level, { concurrency }), smallTask))
      )),
      piscina(smallTask, 64, "async", concurrency)
    ]
    figures.push(
      ...(await withContenders(contenders, scale, (contenders) =>
        measure(scale, `isolates: ${concurrency}, 64 callers for each`, contenders, 64 * concurrency)
      ))
    )
  }
  return figures
}
