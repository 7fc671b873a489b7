/** What a run costs when everything is running: everybody, many callers and one. */
import { type Contender, costOf, throughput, withContenders } from "../contenders/Contender.ts"
import { agentlip, agentlipByPromises, spans } from "../contenders/agentlip.ts"
import { bareProcess, bareThread, bareThreadInTurn } from "../contenders/bare.ts"
import { piscina, tinypool, workerPool } from "../contenders/pools.ts"
import { smallTask } from "../contenders/task.ts"
import { alternate, type Figure, type Scale, type Suite } from "../figures.ts"
import { quantile } from "../stats.ts"
import { tables } from "../tables.ts"

export const warm: Suite = async (scale, levels) =>
  withContenders(
    [
      ...(await Promise.all(levels.map((level) => agentlip(spans(level), smallTask)))),
      await agentlipByPromises(spans("thread"), smallTask),
      piscina(smallTask, 64, "async"),
      piscina(smallTask, 64, "sync"),
      piscina(smallTask, 1, "sync"),
      tinypool(smallTask, 64),
      workerPool(smallTask, "thread"),
      workerPool(smallTask, "process"),
      bareThread(smallTask),
      bareThreadInTurn(smallTask),
      bareProcess(smallTask)
    ],
    scale,
    async (contenders) => [...(await many(scale, contenders)), ...(await one(scale, contenders))]
  )

const many = async (scale: Scale, contenders: ReadonlyArray<Contender>): Promise<ReadonlyArray<Figure>> => {
  const measured = await alternate(scale, contenders, (contender) => throughput(contender, 64, scale.turn), {
    share: 0.7
  })
  return measured.map(([{ name }, rounds]) => ({
    table: tables.warm,
    contender: name,
    unit: "runs/s",
    better: "more",
    rounds: rounds.map(({ perSecond }) => perSecond),
    cost: costOf(rounds)
  }))
}

const one = async (scale: Scale, contenders: ReadonlyArray<Contender>): Promise<ReadonlyArray<Figure>> => {
  const measured = await alternate(scale, contenders, (contender) => contender.times(scale.turn), {
    share: 0.3
  })
  const at = (table: string, q: number): ReadonlyArray<Figure> =>
    measured.map(([{ name }, rounds]) => ({
      table,
      contender: name,
      unit: "us",
      better: "less",
      rounds: rounds.map((times) => quantile(times, q))
    }))
  return [...at(tables.oneCaller, 0.5), ...at(tables.oneCallerTail, 0.99)]
}
