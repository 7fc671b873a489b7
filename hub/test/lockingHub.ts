/** A process that takes a workspace's lock when told to, says whether it got it, and keeps it until killed. */
import { Effect, Layer } from "effect"
import { Workspace } from "../src/workspace/Workspace.ts"
import { WriterLock } from "../src/workspace/WriterLock.ts"

const [workspace = "", start = "0"] = process.argv.slice(2)
// All processes try at the same instant: spawning them takes longer than the race.
while (Date.now() < Number(start)) {}
const held = WriterLock.layer.pipe(Layer.provide(Workspace.layer(workspace)))
Effect.runFork(
  Layer.build(held).pipe(
    Effect.tap(() => Effect.sync(() => process.stdout.write("held\n"))),
    Effect.andThen(Effect.never),
    Effect.catch(({ message }) => Effect.sync(() => process.stdout.write(`refused ${message}\n`))),
    Effect.scoped
  )
)
// A fiber that waits keeps no process alive.
setInterval(() => {}, 60_000)
