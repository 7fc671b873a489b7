/** Keeps the output of a hub in the background short. Whoever starts it names the file: see startHub.ts of the client. */
import { Effect, Schedule, type Scope } from "effect"
import * as fs from "node:fs"
import * as SafeFiles from "../../workspace/SafeFiles.ts"

/** The file may grow to this size, and for a moment beyond it. In bytes. */
export const mostBytes = 4 * 1024 * 1024
/** The end of it that is kept in the file `….1`. */
const keptBytes = 256 * 1024

const lookEvery = "5 seconds"

const isFile = (file: string, descriptor: number): boolean => {
  const [named, open] = [fs.statSync(file, { throwIfNoEntry: false }), fs.fstatSync(descriptor)]
  return open.isFile() && named?.dev === open.dev && named.ino === open.ino
}

/** Empties the file if it is too large, and keeps its end. The descriptor must append. */
export const shorten = (file: string, descriptor: number): void => {
  const { size } = fs.fstatSync(descriptor)
  if (size <= mostBytes) return
  const reader = fs.openSync(file, "r")
  try {
    const end = Buffer.alloc(keptBytes)
    const length = fs.readSync(reader, end, 0, keptBytes, size - keptBytes)
    SafeFiles.replace(`${file}.1`, end.toString("utf8", 0, length))
  } finally {
    fs.closeSync(reader)
  }
  fs.ftruncateSync(descriptor)
}

const variable = "AGENTLIP_OUTPUT"

/** Whether another program started this one in the background. */
export const isInBackground = (): boolean => process.env[variable] !== undefined

/** Looks after this process's output until the scope closes, if it goes to the file that the environment names. */
export const bounded: Effect.Effect<void, never, Scope.Scope> = Effect.gen(function* () {
  const file = process.env[variable]
  // Programs that this one starts have another output.
  delete process.env[variable]
  if (file === undefined || !isFile(file, 1)) return
  yield* Effect.try(() => shorten(file, 1)).pipe(
    Effect.catch((error) => Effect.logWarning("the output file could not be shortened", error)),
    Effect.repeat(Schedule.spaced(lookEvery)),
    Effect.forkScoped
  )
})
