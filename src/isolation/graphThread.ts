/** Hashes one plugin's modules and names their files, in a thread that may take its time. */
import { parentPort, workerData } from "node:worker_threads"
import { moduleGraph } from "./moduleGraph.ts"
import { ModuleSources } from "./ModuleSource.ts"

export type GraphReply =
  | { readonly integrity: string; readonly files: ReadonlyArray<string> }
  | { readonly problem: string }

const reply = async (): Promise<GraphReply> => {
  try {
    const { integrity, files } = await moduleGraph(String(workerData), new ModuleSources())
    return { integrity, files: [...files] }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

parentPort?.postMessage(await reply())
