/** Someone who runs the task; callers are whatever is usual for them. */
import { ok } from "node:assert/strict"
import type { Cost, Scale } from "../figures.ts"
import { type Task, verify } from "./task.ts"

export interface Contender {
  readonly name: string
  /** Calls until `millis` are over, so many at any time; answers how many calls were answered. */
  readonly calls: (callers: number, millis: number) => Promise<number>
  /** One call; answers its microseconds. */
  readonly once: () => Promise<number>
  /** One call after another until `millis` are over; answers each one's microseconds. */
  readonly times: (millis: number) => Promise<ReadonlyArray<number>>
  readonly close: () => Promise<unknown>
}

/** A contender whose callers are promises; each answer is looked at. */
export const byPromises = (
  name: string,
  task: Task,
  call: () => PromiseLike<unknown>,
  close: () => Promise<unknown>
): Contender => ({
  name,
  calls: async (callers, millis) => {
    const until = performance.now() + millis
    let done = 0
    const caller = async (): Promise<void> => {
      while (performance.now() < until) {
        verify(task, await call())
        done++
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return done
  },
  once: () => timed(task, call),
  times: async (millis) => {
    const taken: Array<number> = []
    for (const until = performance.now() + millis; performance.now() < until; ) {
      taken.push(await timed(task, call))
    }
    return taken
  },
  close
})

const timed = async (task: Task, call: () => PromiseLike<unknown>): Promise<number> => {
  const begin = performance.now()
  verify(task, await call())
  return (performance.now() - begin) * 1000
}

export interface Throughput {
  readonly perSecond: number
  readonly cpu: number
  readonly mainThread: number
  readonly loop: number
}

/** Runs a second, and what one of them costs the host. */
export const throughput = async (
  contender: Pick<Contender, "name" | "calls">,
  callers: number,
  millis: number
): Promise<Throughput> => {
  const whole = process.cpuUsage()
  const thread = process.threadCpuUsage()
  const loop = performance.eventLoopUtilization()
  const begin = performance.now()
  const count = await contender.calls(callers, millis)
  const seconds = (performance.now() - begin) / 1000
  const { utilization } = performance.eventLoopUtilization(loop)
  const onThread = process.threadCpuUsage(thread)
  const inAll = process.cpuUsage(whole)
  ok(count > 0, `${contender.name} answered nothing`)
  return {
    perSecond: count / seconds,
    cpu: (inAll.user + inAll.system) / count,
    mainThread: (onThread.user + onThread.system) / count,
    loop: utilization
  }
}

export const costOf = (rounds: ReadonlyArray<Throughput>): Cost => ({
  cpu: rounds.map(({ cpu }) => cpu),
  mainThread: rounds.map(({ mainThread }) => mainThread),
  loop: rounds.map(({ loop }) => loop)
})

/** Has each make its first calls before anyone is measured, and closes them all in the end. */
export const withContenders = async <A>(
  contenders: ReadonlyArray<Contender>,
  { warmUp }: Scale,
  use: (contenders: ReadonlyArray<Contender>) => Promise<A>
): Promise<A> => {
  try {
    for (const contender of contenders) {
      const until = performance.now() + warmUp.millis
      for (let done = 0; done < warmUp.calls && performance.now() < until; ) {
        done += await contender.calls(16, 50)
      }
    }
    return await use(contenders)
  } finally {
    for (const contender of contenders) await contender.close()
  }
}
