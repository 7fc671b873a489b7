/**
 * Runs in the soaked hub, which loads it with `--expose-gc --import`. On SIGUSR2 it collects the garbage of the main
 * heap, and gives the heap's unused memory back to the system. Then it writes what the hub still holds to the file that
 * SOAK_HELD names. It does not collect the heaps of threads.
 */
import * as fs from "node:fs"
import { isMainThread } from "node:worker_threads"

export interface HeldMemory {
  /** Counts the readings. */
  readonly number: number
  /** The main heap and what its objects hold outside of it. */
  readonly heapMiB: number
  /** Of the whole process. */
  readonly residentMiB: number
}

const MiB = 2 ** 20

let number = 0

const write = async (file: string): Promise<void> => {
  for (let at = 0; at < 2; at++) {
    // Unlike others, a collection of this flavour also lets go of pages that are kept for later.
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" })
    // Finalizers of the first one let go of more, and pages are given back by a thread of the engine.
    await new Promise((resume) => setTimeout(resume, 200))
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  const held: HeldMemory = { number: ++number, heapMiB: (heapUsed + external) / MiB, residentMiB: rss / MiB }
  fs.writeFileSync(`${file}.new`, JSON.stringify(held))
  fs.renameSync(`${file}.new`, file)
}

const file = process.env["SOAK_HELD"]
if (isMainThread && file !== undefined)
  process.on("SIGUSR2", () => {
    // The disk may be full: the soak goes on without this reading, and its verdict counts them.
    write(file).catch((error: unknown) =>
      process.stderr.write(`what the hub holds was not written: ${error}\n`)
    )
  })
