/** What it costs that nothing is shared: an isolate of its own for every run. */
import { throughput, type Contender, byPromises, costOf } from "../contenders/Contender.ts"
import { agentlip, spans } from "../contenders/agentlip.ts"
import { freshProcess, freshThread } from "../contenders/bare.ts"
import { smallTask } from "../contenders/task.ts"
import { alternate, sleep, type Suite } from "../figures.ts"
import { median } from "../stats.ts"
import { tables } from "../tables.ts"

/** The answer of a bare isolate was looked at where it came; nothing is left to see here. */
const bare = (name: string, call: (task: typeof smallTask) => Promise<void>): Contender =>
  byPromises(
    name,
    smallTask,
    async () => {
      await call(smallTask)
      return smallTask.expected
    },
    async () => {}
  )

/** Between two calls, so that a spare is ready for each; what a hub's messages usually are. */
const pause = 120

export const fresh: Suite = async (scale, levels) => {
  const contenders = [
    ...(await Promise.all(levels.map((level) => agentlip(spans(level, { reuse: "never" }), smallTask)))),
    bare("bare new Worker", freshThread),
    bare("bare spawn of node", freshProcess)
  ]
  // The first call of each loads what is loaded once.
  for (const contender of contenders) await contender.once()
  const calls = scale.quick ? 4 : 12
  const paced = await alternate(
    scale,
    contenders,
    async (contender) => {
      const taken: Array<number> = []
      for (let call = 0; call < calls; call++) {
        await sleep(pause)
        taken.push(await contender.once())
      }
      return median(taken)
    },
    { share: 0.6 }
  )
  const many = await alternate(scale, contenders, (contender) => throughput(contender, 4, 2 * scale.turn), {
    most: 3,
    share: 0.4
  })
  for (const contender of contenders) await contender.close()
  return [
    ...paced.map(
      ([{ name }, rounds]) =>
        ({ table: tables.fresh, contender: name, unit: "us", better: "less", rounds }) as const
    ),
    ...many.map(
      ([{ name }, rounds]) =>
        ({
          table: tables.freshMany,
          contender: name,
          unit: "runs/s",
          better: "more",
          rounds: rounds.map(({ perSecond }) => perSecond),
          cost: costOf(rounds)
        }) as const
    )
  ]
}
