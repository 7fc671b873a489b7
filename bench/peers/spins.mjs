// Spins from the first thing that it is told, in a Worker or a process; says when it listens.
import { parentPort } from "node:worker_threads"

const spin = () => {
  for (;;) {
    // Spinning is the point.
  }
}
if (parentPort === null) {
  process.stdin.once("data", spin)
  process.stdout.write("ready\n")
} else {
  parentPort.once("message", spin)
  parentPort.postMessage("ready")
}
