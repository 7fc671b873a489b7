/** The operators' commands: jobs, circuits and backfills of a running hub. */
import { ExecutionError } from "@agentlip/plugin-runtime"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { commandsOf, start } from "./cli.ts"
import { eventually, type Json, linkifierSpec, makeTopic, startHub } from "./testHub.ts"

const scene = Effect.gen(function* () {
  let mood: "bad" | "good" | "stuck" = "bad"
  const hub = yield* startHub({
    plugins: [linkifierSpec("moody")],
    breaker: { failureThreshold: 1_000 },
    fakes: {
      moody: () =>
        Effect.suspend(() =>
          mood === "bad"
            ? Effect.fail(
                new ExecutionError({ plugin: "moody", cause: { name: "Error", message: "not today" } })
              )
            : mood === "stuck"
              ? Effect.never
              : Effect.succeed([])
        )
    }
  })
  const { topic } = yield* makeTopic(hub)
  const post = hub.post("/api/v1/messages", { topic_id: topic, sender: "ada", content_raw: "hello" })
  yield* Effect.repeat(post, { times: 2 })
  yield* eventually(hub.rows("SELECT 1 FROM derivations WHERE state = 'failed'"), (rows) => rows.length === 3)
  const feel = (now: typeof mood) => Effect.sync(() => void (mood = now))
  return { hub, feel, run: commandsOf(hub.workspace) }
})

describe("agentlip, for operators", () => {
  it.live("lists jobs page by page, and has failed ones done again", () =>
    Effect.gen(function* () {
      const { run, feel } = yield* scene
      const first = yield* run("job", "list", "--limit", "2")
      assert.match(
        first.out,
        /^SINCE +MESSAGE +CONTENT +PLUGIN +STATE +WHY\n(.* moody +failed +EXECUTION_ERROR: .*\n){2}/
      )
      const next = /--before (\S+)/.exec(first.out)?.[1] ?? ""
      assert.lengthOf((yield* run("job", "list", "--before", next, "--json")).json.jobs, 1)
      assert.include((yield* run("job", "list", "--state", "stale")).out, "no such jobs")
      yield* feel("good")
      assert.strictEqual((yield* run("job", "retry", "--plugin", "moody")).out, "Retrying 3 failed jobs.\n")
      yield* eventually(
        run("job", "list", "--state", "empty", "--json"),
        ({ json }) => json.jobs.length === 3
      )
    })
  )

  it.live("trips and resets circuits, and tells of plugins", () =>
    Effect.gen(function* () {
      const { run } = yield* scene
      assert.match((yield* run("plugin", "trip", "moody")).out, /open/)
      assert.match((yield* run("plugin", "list")).out, /moody +linkifier +\S+ +open/)
      assert.match((yield* run("plugin", "reset", "moody")).out, /closed/)
      const unknown = yield* run("plugin", "trip", "nobody")
      assert.strictEqual(unknown.code, 1)
      assert.match(unknown.err, /^agentlip: No plugin of the name "nobody"/)
    })
  )

  it.live("backfills, shows how far it is, and ends when it is done", () =>
    Effect.gen(function* () {
      const { run, feel, hub } = yield* scene
      yield* feel("good")
      const done = yield* run("backfill", "--plugin", "moody")
      assert.strictEqual(done.out, "Done: 3 jobs.\n")
      assert.lengthOf(yield* hub.rows("SELECT 1 FROM derivations WHERE state = 'empty'"), 3)
      assert.strictEqual((yield* run("backfill", "--since", "1000000", "--json")).json.state, "done")
    })
  )

  it.live("pauses a backfill at Ctrl-C, and goes on with it", () =>
    Effect.gen(function* () {
      const { hub, run, feel } = yield* scene
      yield* feel("stuck")
      const command = yield* start(["backfill", "--workspace", hub.workspace])
      yield* eventually(
        hub.rows("SELECT 1 FROM derivations WHERE state = 'pending'"),
        (rows) => rows.length === 3
      )
      yield* eventually(Effect.sync(command.err), (text) => text.includes("%"))
      command.process.kill("SIGINT")
      const { code, err } = yield* command.ended
      assert.strictEqual(code, 130)
      assert.include(err, "Paused. Run the same command to continue.")
      const state = Effect.map(hub.get("/api/v1/backfills"), ({ body }) =>
        body.backfills.map(({ state }: Json) => state)
      )
      assert.deepStrictEqual(yield* state, ["paused"])
      const again = yield* start(["backfill", "--workspace", hub.workspace])
      yield* eventually(state, ([state]) => state === "running")
      assert.include(yield* eventually(Effect.sync(again.err), (text) => text.includes("%")), "Continuing")
      assert.strictEqual((yield* run("backfill", "--plugin", "nobody")).code, 1)
    })
  )
})
