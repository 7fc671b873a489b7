/** Commands that read the database of a hub that runs, was killed, or whose files were copied. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { commandsOf } from "./cli.ts"
import { fileOf, stateOf } from "./databaseFile.ts"
import { kill, start } from "./killableHub.ts"
import { makeTopic, tempWorkspace } from "./testHub.ts"

const readsOf = (topic: string, message: string) => [
  ["channel", "list"],
  ["topic", "list", "general"],
  ["msg", "list", "general/first", "--limit", "2"],
  ["msg", "list", topic, "--after", message],
  ["msg", "tail", "general/first"],
  ["msg", "show", message],
  ["attachment", "list", topic],
  ["search", "exam* OR (last -two)"],
  // Errors too.
  ["search", "(last"],
  ["topic", "list", "nope"],
  ["msg", "show", "nope"],
  ["attachment", "list", "nope"]
]

const outcomesOf = (workspace: string, commands: ReadonlyArray<ReadonlyArray<string>>) =>
  Effect.forEach(
    commands.flatMap((command) => [command, [...command, "--json"]]),
    (command) =>
      Effect.map(commandsOf(workspace)(...command), ({ code, out, err }) => ({
        command,
        code,
        out: command.includes("--json") ? JSON.parse(out) : out,
        err
      }))
  )

describe("reads of a database with a log", () => {
  it.live(
    "print what they print with one, from the log of a hub that was killed too, and write nothing",
    () =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const hub = yield* start(workspace)
        const { topic } = yield* makeTopic(hub.api)
        const post = (content_raw: string) =>
          hub.api.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw })
        const { body } = yield* post("see https://example.com")
        for (const text of ["two", "three\nlines", "last"]) yield* post(text)
        yield* hub.api.post(`/api/v1/topics/${topic}/attachments`, { kind: "note", value_json: { a: [1] } })
        const commands = readsOf(topic, body.message.id)
        const online = yield* outcomesOf(workspace, commands)

        const beside = yield* outcomesOf(
          workspace,
          commands.map((command) => [...command, "--offline"])
        )
        yield* kill(hub)
        assert.isAbove(fs.statSync(`${fileOf(workspace)}-wal`).size, 0)
        const before = stateOf(workspace)
        const killed = yield* outcomesOf(workspace, commands)
        assert.deepStrictEqual(killed, online)
        assert.deepStrictEqual(
          beside.map((outcome) => ({
            ...outcome,
            command: outcome.command.filter((word) => word !== "--offline")
          })),
          online
        )
        assert.deepStrictEqual(stateOf(workspace), before)
        // As in a copy of the file and its log.
        fs.rmSync(`${fileOf(workspace)}-shm`)
        const copy = stateOf(workspace)
        assert.deepStrictEqual(yield* outcomesOf(workspace, commands.slice(0, 3)), online.slice(0, 6))
        assert.deepStrictEqual(stateOf(workspace), copy)
      }),
    60_000
  )
})
