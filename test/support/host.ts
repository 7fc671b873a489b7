/**
 * Processes that run rogues and report each result as a line of JSON on descriptor 3. This file is a host that uses
 * the library and meets one rogue after the other; bareHost.ts is a host that takes the word of one rogue.
 */
import { Effect, Result, Semaphore } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, specOn } from "./isolation.ts"
import type { BareReport } from "./bareHost.ts"
import type { Task } from "./hostTask.ts"

export interface RuntimeReport {
  readonly code: string
  readonly text: string
  /** Whether a good plugin ran afterwards. */
  readonly good: boolean
  /** The most memory it had with the rogue, in MiB. */
  readonly memory: number
  /** The memory that it has afterwards, in MiB. */
  readonly kept: number
}

const say = (report: RuntimeReport): void => {
  fs.writeSync(3, `${JSON.stringify(report)}\n`)
}

/** Not `process.exit`: a thread stuck in a built-in would keep that from ending. */
const end = (): void => {
  process.kill(process.pid, "SIGKILL")
}

const peak = (): number => Math.round(process.resourceUsage().maxRSS / 1024)

/** From here on `peak` is of what comes, where the system can: it never falls elsewhere. */
const forgetPeak = (): void => {
  if (process.platform === "linux") fs.writeFileSync("/proc/self/clear_refs", "5")
}

/** Runs a rogue, and a good plugin before and after it. */
const meet = Effect.fnUntraced(function* (task: Task) {
  const runtime = yield* PluginRuntime
  const input = { message: task.message }
  const spec = specOn(task.level, {
    ...task.spec,
    kind: linkifier,
    // Whom it would kill.
    config: { ...task.spec.config, pid: process.pid }
  })
  const good = specOn(task.level, { name: "good", kind: linkifier, modulePath: task.goodPath })
  yield* runtime.run(good, input)
  forgetPeak()
  const result = yield* Effect.result(runtime.run(spec, input))
  const after = yield* Effect.result(runtime.run(good, input))
  say({
    code: Result.isSuccess(result) ? "OK" : result.failure._tag,
    text: Result.isSuccess(result) ? JSON.stringify(result.success) : result.failure.message,
    good: Result.isSuccess(after),
    memory: peak(),
    kept: Math.round(process.memoryUsage.rss() / 1024 / 1024)
  })
})

/** Meets the rogue of each line of its input, until that ends. */
const runtimeHost = (): Promise<void> =>
  Effect.gen(function* () {
    const services = yield* Effect.context<PluginRuntime>()
    yield* Effect.promise(async () => {
      for await (const line of createInterface({ input: process.stdin })) {
        await Effect.runPromiseWith(services)(meet(JSON.parse(line)))
      }
    })
    end()
  }).pipe(Effect.provide(layerRuntime()), Effect.runPromise)

const bareUrl = new URL("./bareHost.ts", import.meta.url)

/** Kills a host that takes longer than this for a rogue, in milliseconds. */
const patience = 30_000

const startHost = (file: string, argument: string, stdin: "ignore" | "pipe") => {
  const child = spawn(process.execPath, ["--conditions=@agentlip/source", file, argument], {
    stdio: [stdin, "pipe", "pipe", "pipe"],
    // Of its own group: some rogues kill the group that they find themselves in.
    detached: true
  })
  const end = (): void => {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, "SIGKILL")
    } catch {
      // Nothing is left of the group.
    }
  }
  // What it has started may live on, and hold its streams.
  child.on("exit", end)
  return { child, end, reports: child.stdio[3] as Readable }
}

/** Runs a rogue in a host that trusts it; the report is missing if the host died without one. */
export const inBareHost = (
  task: Task
): Promise<{ readonly report: BareReport | undefined; readonly printed: number }> =>
  new Promise((resolve, reject) => {
    const { child, end, reports } = startHost(fileURLToPath(bareUrl), JSON.stringify(task), "ignore")
    const timer = setTimeout(end, patience)
    let said = ""
    let printed = 0
    child.stdout?.on("data", (chunk: Buffer) => (printed += chunk.length))
    child.stderr?.on("data", (chunk: Buffer) => (printed += chunk.length))
    reports.on("data", (chunk: Buffer) => (said += chunk.toString()))
    child.on("error", reject)
    child.on("close", () => {
      clearTimeout(timer)
      resolve({ report: said === "" ? undefined : JSON.parse(said), printed })
    })
  })

/** A host that uses the library; it meets one rogue at a time. */
const startRuntimeHost = () => {
  const { child, end, reports } = startHost(fileURLToPath(import.meta.url), "", "pipe")
  child.stdout?.resume()
  child.stderr?.resume()
  // Writing to a host that has just died fails; its exit says so.
  child.stdin?.on("error", () => {})
  const lines = createInterface({ input: reports })
  const died = once(child, "close")
  const meet = async (task: Task): Promise<RuntimeReport | undefined> => {
    child.stdin?.write(`${JSON.stringify(task)}\n`)
    const timer = setTimeout(end, patience)
    const line = once(lines, "line").then(([said]) => JSON.parse(said) as RuntimeReport)
    const report = await Promise.race([line, died.then(() => undefined)])
    clearTimeout(timer)
    return report
  }
  return { meet, end, lives: () => child.exitCode === null && child.signalCode === null }
}

/** MiB that a host may keep of a rogue if it is to meet another: that one's memory is to be its own. */
const mostKept = 400

/**
 * Hosts that use the library and outlive their rogues. A rogue that takes its host down has no report, and the next
 * one meets a new host.
 */
export const makeRuntimeHosts = () => {
  const idle: Array<ReturnType<typeof startRuntimeHost>> = []
  return {
    meet: async (task: Task): Promise<RuntimeReport | undefined> => {
      const host = idle.pop() ?? startRuntimeHost()
      const report = await host.meet(task)
      if (report !== undefined && report.kept < mostKept && host.lives()) idle.push(host)
      else host.end()
      return report
    },
    close: () => {
      for (const host of idle) host.end()
    }
  }
}

/** How many hosts there are at a time: most wait for a deadline, some take a GiB. */
const hostsAtOnce = 3

/**
 * Starts what each item takes, a few at a time and in their order, once the first result is asked for; answers
 * how to wait for the result of one.
 */
export const inTurn = <Item, A>(items: ReadonlyArray<Item>, start: (item: Item) => Promise<A>) => {
  let results: Map<Item, Promise<A>> | undefined
  const startAll = (): Map<Item, Promise<A>> => {
    const turns = Semaphore.makeUnsafe(hostsAtOnce)
    const run = (item: Item) => Effect.runPromise(turns.withPermits(1)(Effect.promise(() => start(item))))
    return new Map(items.map((item) => [item, run(item)]))
  }
  return (item: Item): Promise<A> => {
    results ??= startAll()
    return results.get(item) ?? Promise.reject(new Error("not among the items"))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runtimeHost()
}
