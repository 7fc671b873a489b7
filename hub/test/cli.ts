/** The command line, in this process and as one of its own. */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, Runtime, Stdio, Stream } from "effect"
import { TestConsole } from "effect/testing"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { commandLine } from "../src/cli/commandLine.ts"
import { hubMain, root } from "./hubProcess.ts"
import type { Json } from "./testHub.ts"

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
  /** What `out` is as JSON. */
  readonly json: Json
}

const outcome = (code: number, out: string, err: string): Outcome => ({
  code,
  out,
  err,
  get json() {
    return JSON.parse(out)
  }
})

const stdinOf = (text: string | Uint8Array) =>
  Layer.effect(
    Stdio.Stdio,
    Effect.map(Stdio.Stdio, (stdio) => ({
      ...stdio,
      stdin: Stream.make(typeof text === "string" ? new TextEncoder().encode(text) : text)
    }))
  )

/** Runs a command in this process, which is much faster; commands that write lines as they come need a process. */
export const commandsOf =
  (workspace: string, stdin: string | Uint8Array = "") =>
  (...args: ReadonlyArray<string>): Effect.Effect<Outcome> =>
    Effect.gen(function* () {
      const run = commandLine([...args, "--workspace", workspace], { oneOutput: false })
      const exit = yield* Effect.exit(run)
      const code = yield* Effect.callback<number>((resume) =>
        Runtime.defaultTeardown(exit, (code) => resume(Effect.succeed(code)))
      )
      const lines = (texts: ReadonlyArray<unknown>) => texts.map((text) => `${String(text)}\n`).join("")
      return outcome(code, lines(yield* TestConsole.logLines), lines(yield* TestConsole.errorLines))
    }).pipe(Effect.provide([Layer.provideMerge(stdinOf(stdin), NodeServices.layer), TestConsole.layer]))

export interface Child {
  readonly process: ChildProcess
  readonly out: () => string
  readonly err: () => string
  readonly ended: Effect.Effect<Outcome>
}

/** Starts a command as a process of its own; it ends with the scope. */
export const start = (args: ReadonlyArray<string>, stdin?: string) =>
  Effect.acquireRelease(
    Effect.sync((): Child => {
      const child = spawn(process.execPath, [hubMain, ...args], {
        cwd: root
      })
      child.stdin.end(stdin)
      let out = ""
      let err = ""
      child.stdout.on("data", (chunk) => (out += chunk))
      child.stderr.on("data", (chunk) => (err += chunk))
      const ended = once(child, "close").then(() => outcome(child.exitCode ?? -1, out, err))
      return { process: child, out: () => out, err: () => err, ended: Effect.promise(() => ended) }
    }),
    ({ process, ended }) =>
      Effect.andThen(
        Effect.sync(() => process.kill("SIGKILL")),
        ended
      )
  )

/** Runs a command as a process of its own to its end. */
export const agentlipProcess = (args: ReadonlyArray<string>, stdin?: string): Effect.Effect<Outcome> =>
  Effect.scoped(Effect.flatMap(start(args, stdin), ({ ended }) => ended))
