/**
 * The code of a loader thread: finds, checks, reads and compiles the modules of one plugin at a time. It runs no
 * plugin code. Expensive modules block only this thread, and the host can end it, because it never blocks on a
 * read.
 */
import { parentPort, workerData } from "node:worker_threads"
import { statesOf } from "../fileStates.ts"
import { getOrMake } from "../getOrMake.ts"
import { Lru } from "../cache/Lru.ts"
import { type Conditions, conditionsWith } from "./conditions.ts"
import { messageOf } from "./LoadProblem.ts"
import type { GuestJob, HostMessage, LoaderJob, LoaderMessage, LoaderResult } from "./loaderMessages.ts"
import { moduleGraph } from "./moduleGraph.ts"
import { ModulePolicy } from "./ModulePolicy.ts"
import { ModuleResolver } from "./ModuleResolver.ts"
import { ModuleSources } from "./ModuleSource.ts"
import { SearchedPaths } from "./SearchedPaths.ts"
import { refusal, requestIn, ModuleServer } from "./ModuleServer.ts"
import { CompilerTrap } from "./typescript.ts"

// The type matches what the host sends (LoaderThread.ts).
const { conditions: own }: { readonly conditions: ReadonlyArray<string> } = workerData
const conditions: Conditions = conditionsWith(own)

const post = (message: LoaderMessage, transfer: Array<ArrayBuffer> = []): void =>
  parentPort?.postMessage(message, transfer)

/** Callbacks that wait for a compiled source from the host, by key. */
const finding = new Map<string, (code: string | undefined) => void>()

const sources = new ModuleSources({
  find: (key) =>
    new Promise((resolve) => {
      finding.set(key, resolve)
      post({ type: "find", key })
    }),
  keep: (key, code) => post({ type: "keep", key, code })
})

/** The servers of the guests that asked last, by guest. */
const servers = new Lru<ModuleServer>({ maxEntries: 16 })

/** Whether the next guest may get the same frame. A pinned plugin's later imports need the server that hashed it. */
const isKept = ({ type, plugin }: GuestJob): boolean => type === "load" && plugin.integrity === undefined

const serverOf = (job: GuestJob): ModuleServer =>
  getOrMake(servers, `${job.guest}`, () => {
    const roots = job.type === "ask" ? job.roots : undefined
    const searched = isKept(job) ? new SearchedPaths() : undefined
    return new ModuleServer({ plugin: job.plugin, sources, conditions, roots, searched })
  })

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
      return serverOf(job).first(job.known, job.watch)
    case "ask": {
      const request = requestIn(job.request)
      if (request === undefined) return refusal({ error: "that is no request for a module" })
      return serverOf(job).answer(request)
    }
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
