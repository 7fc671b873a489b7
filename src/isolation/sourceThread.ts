/** Reads and compiles files that take long, so that the loader can go on serving others meanwhile. */
import { parentPort } from "node:worker_threads"
import { type Imports, importsOf } from "./moduleImports.ts"
import { type HeavyFile, type ModuleSource, readSource } from "./ModuleSource.ts"
import { CompileProblem, hasTrapped } from "./typescript.ts"

export type SourceReply =
  | { readonly source: ModuleSource; readonly imports?: Imports }
  | { readonly problem: string; readonly syntax: boolean; readonly trapped: boolean }

const reply = ({ file, stamp, imports }: HeavyFile): SourceReply => {
  try {
    const source = readSource(file, stamp)
    return imports ? { source, imports: importsOf(source) } : { source }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return { problem, syntax: error instanceof CompileProblem, trapped: hasTrapped(error) }
  }
}

parentPort?.on("message", (request: HeavyFile) => parentPort?.postMessage(reply(request)))
