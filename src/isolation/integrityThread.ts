/** Hashes one plugin's modules, in a thread that may take its time. */
import { parentPort, workerData } from "node:worker_threads"
import { moduleGraph } from "./moduleGraph.ts"
import { ModuleSources } from "./ModuleSource.ts"

export type IntegrityReply = { readonly integrity: string } | { readonly problem: string }

const reply = async (): Promise<IntegrityReply> => {
  try {
    return { integrity: (await moduleGraph(String(workerData), new ModuleSources())).integrity }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

parentPort?.postMessage(await reply())
