import { createInterface } from "node:readline"
import { enrich } from "./task.mjs"

createInterface({ input: process.stdin }).on("line", (line) =>
  process.stdout.write(`${JSON.stringify(enrich(JSON.parse(line)))}\n`)
)
