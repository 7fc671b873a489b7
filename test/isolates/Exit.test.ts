/** A host can always exit: by itself, by `process.exit`, with runs in flight or with idle isolates. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { IsolationLevel } from "../../src/Capabilities.ts"

interface End {
  readonly lines: ReadonlyArray<string>
  readonly code: number | null
  /** Milliseconds from its last line to its exit. */
  readonly lingered: number
}

const patience = 30_000

/** Runs a host in its own process. If it does not exit in time, it is killed and has no code. */
const run = (host: "host" | "effectHost", task: string, level: IsolationLevel): Promise<End> =>
  new Promise((resolve, reject) => {
    const file = fileURLToPath(new URL(`../fixtures/library/${host}.ts`, import.meta.url))
    const child = spawn(process.execPath, ["--conditions=@agentlip/source", file, task, level], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    const timer = setTimeout(() => child.kill("SIGKILL"), patience)
    let said = ""
    let spoke = performance.now()
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString()
      spoke = performance.now()
    })
    child.on("error", reject)
    child.on("close", (code) => {
      clearTimeout(timer)
      resolve({ lines: said.trim().split("\n"), code, lingered: performance.now() - spoke })
    })
  })

/** Milliseconds that a process may take to exit when it has nothing left to do. */
const soon = 6_000

const assertEnded = ({ lines, code, lingered }: End, expected: ReadonlyArray<string>, exitCode = 0): void => {
  assert.deepStrictEqual(lines, expected)
  assert.strictEqual(code, exitCode, `its exit code (after ${Math.round(lingered)} ms)`)
  assert.isBelow(lingered, soon)
}

const levels: ReadonlyArray<IsolationLevel> = ["thread", "process", "wasm"]

describe.each(levels)("Exit, on level %s: a hub without Effect", (level) => {
  const rows: ReadonlyArray<readonly [string, string, ReadonlyArray<string>]> = [
    ["exits after close()", "close", ["ran", "end of program"]],
    ["exits without close(), with idle isolates and spares", "idle", ["ran", "end of program"]],
    ["exits after a second round, without close()", "close-and-run-again", ["ran", "ran", "end of program"]],
    [
      "runs again after a pause in which only a timer kept it alive",
      "pause-and-run-again",
      ["ran", "ran", "end of program"]
    ],
    ["exits after a timeout", "timeout", ["ran", "TIMEOUT", "end of program"]],
    ["exits after close() with a run in flight", "close-in-flight", ["ran", "rejected", "end of program"]]
  ]
  it.each(rows)("%s", async (_, task, lines) => assertEnded(await run("host", task, level), lines))

  it("exits by process.exit while a plugin spins", async () =>
    assertEnded(await run("host", "exit-in-flight", level), ["ran"], 7))
})

describe.each(levels)("Exit, on level %s: a hub on Effect", (level) => {
  it("exits after a spinning plugin was interrupted", async () =>
    assertEnded(await run("effectHost", "interrupt", level), ["interrupted", "zombies: 0", "end of program"]))

  it("when its scope closes, runs in flight fail with a typed error and no isolate is left", async () =>
    assertEnded(await run("effectHost", "scope-closes", level), [
      "WORKER_CRASH",
      "WORKER_CRASH",
      "WORKER_CRASH",
      "isolates: 0",
      "end of program"
    ]))

  it("runs after its scope has closed fail with a typed error and start nothing", async () =>
    assertEnded(await run("effectHost", "run-after-close", level), [
      'WORKER_CRASH Plugin "words" took its isolate down: the runtime was closed.',
      'WORKER_CRASH Plugin "calls" took its isolate down: the runtime was closed.',
      "end of program"
    ]))
})
