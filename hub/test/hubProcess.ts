/** The command line as a process of its own, and the processes it starts. */
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { eventually } from "./testHub.ts"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** The command as it is installed: it is built before tests run (test/support/build.ts). */
export const hubMain = "hub/bin/agentlip.js"

export interface Run {
  readonly process: ChildProcess
  /** What it has written to stdout and stderr. */
  readonly output: () => string
  readonly stdout: () => string
  readonly ended: Promise<number | null>
}

export const run = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): Run => {
      const child = spawn(process.execPath, ["--conditions=@agentlip/source", ...args], {
        cwd: root,
        stdio: ["ignore", "pipe", "pipe"]
      })
      let output = ""
      let stdout = ""
      child.stdout.on("data", (chunk) => (output += chunk)).on("data", (chunk) => (stdout += chunk))
      child.stderr.on("data", (chunk) => (output += chunk))
      const ended = once(child, "close").then(() => child.exitCode)
      return { process: child, output: () => output, stdout: () => stdout, ended }
    }),
    ({ process, ended }) =>
      Effect.promise(async () => {
        process.kill("SIGKILL")
        await ended
      })
  )

export const agentlip = (...args: ReadonlyArray<string>) => run([hubMain, ...args])
export const shows = ({ output }: Run, text: string) =>
  eventually(Effect.sync(output), (shown) => shown.includes(text))

const read = (file: string): string => {
  try {
    return fs.readFileSync(file, "latin1")
  } catch {
    // Gone meanwhile, which is all that is to be known of it.
    return ""
  }
}

/** Every process below one, by id and time of its start: ids are used again. */
export const descendants = (pid: number): ReadonlyMap<number, string> => {
  const children = fs
    .globSync(`/proc/${pid}/task/*/children`)
    .flatMap((file) => read(file).trim().split(" "))
    .flatMap((id) => (id === "" ? [] : [Number(id)]))
  return new Map(children.flatMap((child) => [[child, startOf(child)], ...descendants(child)]))
}

/** What is neither gone nor a zombie that waits to be reaped. */
const startOf = (pid: number): string => {
  const [state, ...fields] = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ")
  return state === "Z" || state === "X" ? "" : (fields[18] ?? "")
}

/** Those of `processes` that still live. */
export const alive = (processes: ReadonlyMap<number, string>): ReadonlyArray<number> =>
  [...processes].filter(([pid, start]) => start !== "" && startOf(pid) === start).map(([pid]) => pid)
