/**
 * Throw-away hosts: a process that runs one rogue and says what came of it, as JSON on descriptor 3. This file
 * is one that uses the library; bareHost.ts is one that takes a rogue's word.
 */
import { Effect, Result, Semaphore } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { linkifier } from "../../src/Plugin.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, specOn } from "./isolation.ts"
import type { BareReport } from "./bareHost.ts"
import type { Task } from "./hostTask.ts"

export interface RuntimeReport {
  readonly code: string
  readonly text: string
  /** Whether a good plugin ran afterwards. */
  readonly good: boolean
  readonly millis: number
  /** The most memory it ever had, in MiB. */
  readonly memory: number
}

const say = (report: RuntimeReport): void => {
  fs.writeSync(3, JSON.stringify(report))
}

/** Not `process.exit`: a thread stuck in a built-in would keep that from ending. */
const end = (): void => {
  process.kill(process.pid, "SIGKILL")
}

const peak = (): number => Math.round(process.resourceUsage().maxRSS / 1024)

const runtimeHost = (task: Task): Promise<void> =>
  Effect.gen(function* () {
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
    const start = performance.now()
    const result = yield* Effect.result(runtime.run(spec, input))
    const millis = performance.now() - start
    const after = yield* Effect.result(runtime.run(good, input))
    say({
      code: Result.isSuccess(result) ? "OK" : result.failure._tag,
      text: Result.isSuccess(result) ? JSON.stringify(result.success) : result.failure.message,
      good: Result.isSuccess(after),
      millis,
      memory: peak()
    })
    end()
  }).pipe(Effect.provide(layerRuntime()), Effect.runPromise)

const bareUrl = new URL("./bareHost.ts", import.meta.url)

/** Ends a child that outstays its welcome. */
const patience = 30_000

/** Runs a task in a process of its own; `undefined` if that died without a word. */
export const inOwnHost = <Report extends RuntimeReport | BareReport>(
  task: Task
): Promise<{ readonly report: Report | undefined; readonly printed: number }> =>
  new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(
      process.execPath,
      [
        "--conditions=@agentlip/source",
        fileURLToPath(task.mode === "bare" ? bareUrl : import.meta.url),
        JSON.stringify(task)
      ],
      {
        stdio: ["ignore", "pipe", "pipe", "pipe"],
        // Of its own group: some rogues kill the group that they find themselves in.
        detached: true
      }
    )
    const end = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, "SIGKILL")
      } catch {
        // Nothing is left of the group.
      }
    }
    const timer = setTimeout(end, patience)
    let said = ""
    let printed = 0
    child.stdio[1]?.on("data", (chunk: Buffer) => (printed += chunk.length))
    child.stdio[2]?.on("data", (chunk: Buffer) => (printed += chunk.length))
    child.stdio[3]?.on("data", (chunk: Buffer) => (said += chunk.toString()))
    child.on("error", reject)
    // What it has started may live on, and hold its streams.
    child.on("exit", end)
    child.on("close", () => {
      clearTimeout(timer)
      resolve({ report: said === "" ? undefined : (JSON.parse(said) as Report), printed })
    })
  })

/** How many throw-away hosts there are at a time: most wait for a deadline, some take a GiB. */
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
  // The parent is this very file: its word can be taken.
  await runtimeHost(JSON.parse(process.argv[2] ?? ""))
}
