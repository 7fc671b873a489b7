// A line in, a line out; what came together is answered together.
import { enrich } from "./task.mjs"

let rest = ""
process.stdin.setEncoding("utf8").on("data", (chunk) => {
  const lines = (rest + chunk).split("\n")
  rest = lines.pop()
  if (lines.length > 0) {
    process.stdout.write(lines.map((line) => `${JSON.stringify(enrich(JSON.parse(line)))}\n`).join(""))
  }
})
