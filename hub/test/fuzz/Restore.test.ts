/** Damaged copies of a database: put back, or refused by name with nothing changed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Edits, edited, times } from "../../../test/support/fuzz.ts"
import * as Backup from "../../src/database/Backup.ts"
import * as Restore from "../../src/database/Restore.ts"
import { makeTopic, startHub, tempWorkspace } from "../testHub.ts"

describe("a damaged backup", () => {
  it.live.prop(
    "is put back or refused, and the sound one can be after it",
    { edits: Edits },
    ({ edits }) =>
      Effect.gen(function* () {
        const workspace = yield* tempWorkspace
        const sound = path.join(workspace, "sound")
        yield* Effect.gen(function* () {
          const hub = yield* startHub({ workspace })
          const { topic } = yield* makeTopic(hub)
          yield* hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw: "hello" })
          yield* Backup.backup(workspace, sound)
        }).pipe(Effect.scoped)
        const database = path.join(workspace, ".agentlip", "db.sqlite3")
        const bytes = fs.readFileSync(sound)
        // The pages that say what is in it, and any other.
        for (const part of [bytes.subarray(0, 200), bytes.subarray(0, 8_192), bytes]) {
          const before = fs.readFileSync(database)
          const damaged = path.join(workspace, "damaged")
          fs.writeFileSync(damaged, Buffer.concat([edited(part, edits), bytes.subarray(part.length)]))
          const result = yield* Effect.result(Restore.restore(workspace, damaged))
          if (Result.isFailure(result)) {
            assert.strictEqual(result.failure._tag, "BackupError")
            assert.deepStrictEqual(fs.readFileSync(database), before)
          }
        }
        yield* Restore.restore(workspace, sound)
        const hub = yield* startHub({ workspace })
        const { body } = yield* hub.get("/api/v1/events?limit=10")
        assert.isNotEmpty(body.events)
      }).pipe(Effect.scoped),
    times(6)
  )
})
