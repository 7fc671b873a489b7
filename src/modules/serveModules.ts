/**
 * A loader thread: finds, judges, reads and compiles one plugin's modules at a time. Whatever these make it do, it
 * costs this thread, which its host can end; it reads nothing that could keep it from ending. Runs no plugin code.
 */
import { parentPort, workerData } from "node:worker_threads"
import { haveChanged, statesOf } from "../fileStates.ts"
import { type Conditions, conditionsWith } from "./conditions.ts"
import { messageOf } from "./LoadProblem.ts"
import type { HostMessage, LoaderJob, LoaderMessage, LoaderResult } from "./loaderMessages.ts"
import { moduleGraph } from "./moduleGraph.ts"
import { ModulePolicy } from "./ModulePolicy.ts"
import { ModuleResolver } from "./ModuleResolver.ts"
import { ModuleSources } from "./ModuleSource.ts"
import { refusal, requestIn, Serving } from "./Serving.ts"
import { CompilerTrap } from "./typescript.ts"

// Typed as the host sends it (LoaderThread.ts).
const { conditions: own }: { readonly conditions: ReadonlyArray<string> } = workerData
const conditions: Conditions = conditionsWith(own)

const post = (message: LoaderMessage, transfer: Array<ArrayBuffer> = []): void =>
  parentPort?.postMessage(message, transfer)

/** Those who wait for what the host has, by key. */
const finding = new Map<string, (code: string | undefined) => void>()

const sources = new ModuleSources({
  find: (key) =>
    new Promise((resolve) => {
      finding.set(key, resolve)
      post({ type: "find", key })
    }),
  keep: (key, code) => post({ type: "keep", key, code })
})

/** Guests it has served last: what was opened for them need not be opened again. */
const maxServings = 16
const servings = new Map<number, Serving>()

const remember = (guest: number, serving: Serving): Serving => {
  servings.delete(guest)
  servings.set(guest, serving)
  for (const oldest of servings.keys()) {
    if (servings.size <= maxServings) break
    servings.delete(oldest)
  }
  return serving
}

const hash = async (entry: string): Promise<LoaderResult> => {
  const policy = ModulePolicy.ofPlugin(entry)
  const { integrity, files, failed } = await moduleGraph({
    policy,
    resolver: new ModuleResolver(policy, conditions),
    sources
  })
  return { type: "hashed", integrity, files: [...files, ...failed] }
}

const work = (job: LoaderJob): LoaderResult | Promise<LoaderResult> => {
  switch (job.type) {
    case "load":
      return remember(job.guest, new Serving(job.plugin, sources, conditions)).first(job.known, job.watch)
    case "ask": {
      const request = requestIn(job.request)
      if (request === undefined) return refusal({ error: "that is no request for a module" })
      const serving = servings.get(job.guest) ?? new Serving(job.plugin, sources, conditions, job.roots)
      return remember(job.guest, serving).answer(request)
    }
    case "changed":
      return { type: "changed", changed: haveChanged(job.states) }
    case "states":
      return { type: "states", states: statesOf(job.files) }
    case "hash":
      return hash(job.entry)
  }
}

const problem = ({ type }: LoaderJob, message: string, spent: boolean): LoaderResult => {
  if (type !== "load" && type !== "ask") return { type: "problem", problem: message }
  return refusal(spent ? { error: message, syntax: true } : { error: message })
}

const take = async (id: number, job: LoaderJob): Promise<void> => {
  let result: LoaderResult
  let spent = false
  try {
    result = await work(job)
  } catch (error) {
    spent = error instanceof CompilerTrap
    result = problem(job, messageOf(error), spent)
  }
  post({ type: "done", job: id, result, spent }, result.type === "given" ? [result.frame.body.buffer] : [])
}

parentPort?.on("message", (message: HostMessage) => {
  if (message.type === "job") return void take(message.id, message.job)
  finding.get(message.key)?.(message.code)
  finding.delete(message.key)
})
post({ type: "ready" })
