/** The states of a job, and who may name the tables of jobs. */
import { JobState } from "@agentlip/protocol"
import { assert, describe, it } from "vitest"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { isEnd, stateDiagram, transitions } from "../src/jobs/JobStates.ts"

const sources = fileURLToPath(new URL("../src/", import.meta.url))
const page = fileURLToPath(new URL("../../docs/architecture.md", import.meta.url))

const files = fs
  .readdirSync(sources, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => [file.replaceAll("\\", "/"), fs.readFileSync(`${sources}${file}`, "utf8")] as const)

describe("The states of a job", () => {
  it("are those of the protocol: each is reached, and each ends or goes on", () => {
    const states = [...JobState.literals].toSorted()
    assert.deepStrictEqual([...new Set(transitions.map(({ to }) => to))].toSorted(), states)
    assert.deepStrictEqual(
      states.filter((state) => isEnd(state)),
      ["committed", "empty", "failed", "stale"]
    )
    for (const { from, to } of transitions) {
      if (isEnd(to)) assert.strictEqual(from, "pending", `only a pending job becomes ${to}`)
      if (from !== undefined && isEnd(from)) assert.strictEqual(to, "pending", `${from} is an end`)
    }
  })

  it("are the diagram in docs/architecture.md", () => {
    assert.include(fs.readFileSync(page, "utf8"), `\`\`\`mermaid\n${stateDiagram()}\n\`\`\``)
  })
})

describe("The tables of jobs", () => {
  const names = /\b(?:FROM|INTO|UPDATE|JOIN|TABLE)\s+(?:derivations|outbox)\b/

  const table = ["jobs/table/JobLists.ts", "jobs/table/JobTable.ts", "jobs/table/OldJobs.ts"]

  it("are named in statements of jobs/table and of the migrations only", () => {
    assert.deepStrictEqual(files.flatMap(([file, text]) => (names.test(text) ? [file] : [])).toSorted(), [
      "database/Migrations.ts",
      ...table
    ])
  })

  it("are written by JobTable, and by OldJobs, which removes", () => {
    const writes = /\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(?:derivations|outbox)\b/
    const writers = files.flatMap(([file, text]) => (writes.test(text) ? [file] : []))
    assert.deepStrictEqual(writers.toSorted(), [
      "database/Migrations.ts",
      "jobs/table/JobTable.ts",
      "jobs/table/OldJobs.ts"
    ])
  })

  it("lend their name to nothing else but the route of the protocol", () => {
    const others = files.flatMap(([file, text]) =>
      /derivation/i.test(text) && !["database/Migrations.ts", ...table].includes(file) ? [file] : []
    )
    assert.deepStrictEqual(others.toSorted(), [
      "cli/commands/msg/show.ts",
      "cli/hub/HubReader.ts",
      "http/Handlers.ts",
      "messages/Reads.ts"
    ])
  })
})
