/** Commands that read a PostgreSQL database without a hub. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { commandsOf } from "./cli.ts"
import { databaseOf, onPostgres } from "./testDatabase.ts"
import { makeTopic, rowsOf, startHub, tempWorkspace } from "./testHub.ts"

describe("reads of PostgreSQL without a hub", () => {
  it.live("say that the URL is missing, or why the server cannot be used", () =>
    Effect.gen(function* () {
      const run = commandsOf(yield* tempWorkspace)
      const url = "postgres://user:secret@127.0.0.1:1/chat"
      const { code, json } = yield* run("channel", "list", "--database", url, "--json")
      assert.deepStrictEqual([code, json.code], [1, "DATABASE_UNUSABLE"])
      assert.match(json.error, /cannot use the database chat of 127\.0\.0\.1:1/)
      assert.notInclude(json.error, "secret")
    })
  )

  it.live.skipIf(!onPostgres)("print what they print with one, write nothing, and know other versions", () =>
    Effect.gen(function* () {
      const workspace = yield* tempWorkspace
      const url = Redacted.value(databaseOf(workspace).database ?? Redacted.make(""))
      const run = (...args: ReadonlyArray<string>) =>
        Effect.map(commandsOf(workspace)(...args, "--json"), ({ code, json }) => ({ code, json }))
      const commands = [
        ["channel", "list"],
        ["topic", "list", "general"],
        ["msg", "tail", "general/first"],
        ["attachment", "list", "general/first"],
        ["search", "words"]
      ]
      const online = yield* Effect.scoped(
        Effect.gen(function* () {
          const hub = yield* startHub({ workspace })
          const { topic } = yield* makeTopic(hub)
          yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "a", content_raw: "two words" })
          yield* hub.post(`/api/v1/topics/${topic}/attachments`, { kind: "note", value_json: { a: 1 } })
          return yield* Effect.forEach(commands, (command) => run(...command))
        })
      )
      const offline = yield* Effect.forEach(commands, (command) => run(...command, "--database", url))
      assert.deepStrictEqual(offline, online)
      const status = yield* run("status", "--database", url)
      assert.strictEqual(status.code, 3)
      assert.include(status.json.database, { channels: 1, messages: 1 })

      const rows = yield* rowsOf(workspace)
      yield* rows("DELETE FROM migrations WHERE migration_id > 3")
      assert.match(
        (yield* run("channel", "list", "--database", url)).json.error,
        new RegExp(
          `tables are of version 3, .*a hub migrates it when it starts: .* up --database URL -w ${workspace}$`
        )
      )
    })
  )
})
