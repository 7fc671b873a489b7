/** The loader's end of the threads that read heavy files: there only while there are any. */
import { Worker } from "node:worker_threads"
import { importsOf } from "./moduleImports.ts"
import { ModuleRefusal } from "./ModulePolicy.ts"
import type { HeavyFile, ModuleSource, ReadHeavy } from "./ModuleSource.ts"
import type { SourceReply } from "./sourceThread.ts"
import { CompileProblem } from "./typescript.ts"

const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"

/** How long a thread that has nothing to do is kept, in milliseconds. */
const linger = 2_000

const sourceOf = (reply: SourceReply): ModuleSource => {
  if ("problem" in reply) throw new (reply.syntax ? CompileProblem : ModuleRefusal)(reply.problem)
  if (reply.imports !== undefined) importsOf(reply.source, reply.imports)
  return reply.source
}

/** A thread that reads one file after another, each in its turn. */
const makeReader = (): ReadHeavy => {
  let thread: Worker | undefined
  let last: Promise<unknown> = Promise.resolve()
  let idle: NodeJS.Timeout | undefined
  /** Takes the answer to what the thread was last asked. */
  let answer: (reply: SourceReply) => void = () => {}

  const end = (): void => {
    void thread?.terminate()
    thread = undefined
  }

  const start = (): Worker => {
    const worker = new Worker(new URL(`./sourceThread.${extension}`, import.meta.url), {
      name: "agentlip-module-source",
      execArgv: [...process.execArgv],
      env: {}
    })
    const failed = (why: string): void => {
      if (thread !== worker) return
      thread = undefined
      answer({ problem: `it could not be compiled (${why})`, syntax: false, trapped: false })
    }
    worker.on("message", (reply: SourceReply) => answer(reply))
    worker.on("error", (error) => failed(String(error)))
    worker.on("exit", () => failed("its thread ended"))
    return worker
  }

  const ask = (file: HeavyFile): Promise<SourceReply> =>
    new Promise((resolve) => {
      clearTimeout(idle)
      answer = (reply) => {
        // A compiler that has trapped answers nobody any more.
        if ("problem" in reply && reply.trapped) end()
        idle = setTimeout(end, linger).unref()
        resolve(reply)
      }
      thread ??= start()
      thread.postMessage(file)
    })

  return async (file) => {
    const reply = last.then(() => ask(file))
    last = reply
    return sourceOf(await reply)
  }
}

/** Bytes of a file that takes so long that other heavy ones should not wait for it either. */
const huge = 1024 * 1024

export const makeReadHeavy = (): ReadHeavy => {
  const [large, larger] = [makeReader(), makeReader()]
  return (file) => (file.size < huge ? large(file) : larger(file))
}
