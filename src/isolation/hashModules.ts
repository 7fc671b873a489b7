/** Hashes a plugin's modules away from the host's event loop. */
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import type { GraphReply } from "./graphThread.ts"
import { loaderFlags } from "./loaderFlags.ts"

const thread = new URL(`./graphThread.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url)

/** The hash of an entry's module graph and the files in it, or why there is none; an interruption ends the thread. */
export const hashModules = (entry: string): Effect.Effect<GraphReply> =>
  Effect.callback<GraphReply>((resume) => {
    const worker = new Worker(thread, {
      name: "agentlip-module-hash",
      workerData: entry,
      execArgv: loaderFlags(),
      env: {}
    })
    const failed = (problem: string): void => resume(Effect.succeed({ problem }))
    worker.once("message", (reply: GraphReply) => resume(Effect.succeed(reply)))
    worker.once("error", (error) => failed(String(error)))
    worker.once("exit", () => failed("the thread that was to hash it ended"))
    return Effect.promise(() => worker.terminate())
  })
