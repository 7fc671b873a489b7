/** Loaded into a process with `--expose-gc --import`: on SIGUSR2 it collects garbage and says what it still holds. */
import { isMainThread } from "node:worker_threads"

const MiB = 2 ** 20

/** Collects twice, with a turn of the loop between: finalizers of the first run let go of more. */
const collect = async (): Promise<void> => {
  for (let at = 0; at < 2; at++) {
    globalThis.gc?.()
    await new Promise((resume) => setImmediate(resume))
  }
}

const say = async (): Promise<void> => {
  await collect()
  // What ArrayBuffers hold is part of `external`.
  const { heapUsed, external, rss } = process.memoryUsage()
  process.stdout.write(
    `held ${((heapUsed + external) / MiB).toFixed(1)} resident ${(rss / MiB).toFixed(1)}\n`
  )
}

if (isMainThread) process.on("SIGUSR2", () => void say())
