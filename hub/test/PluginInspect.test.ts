/** `agentlip plugin run --inspect`, with a debugger that talks to it as DevTools do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { start } from "./cli.ts"
import { eventually, type Json, tempWorkspace } from "./testHub.ts"

const plugin = `interface Found { readonly at: number }
export default {
  name: "p", version: "1.0.0",
  enrich({ message }) {
    const found: Found = { at: message.content_raw.indexOf("L") }
    debugger
    return [{ kind: "l", span: { start: found.at, end: found.at + 1 }, data: {} }]
  }
}`

/** Attaches, lets every thread go on, and tells of each pause in a thread's plugin; `resume` lets that go on. */
const attach = (
  url: string,
  paused: (frame: Json, evaluate: (expression: string) => void, resume: () => void) => void,
  evaluated: (value: Json) => void
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = new WebSocket(url)
      let id = 0
      const send = (method: string, params: object = {}): void =>
        socket.send(JSON.stringify({ id: ++id, method, params }))
      socket.addEventListener("message", ({ data }) => {
        const { method, params } = JSON.parse(String(data))
        const tell = (method: string, of: object = {}): void =>
          send("NodeWorker.sendMessageToWorker", {
            sessionId: params.sessionId,
            message: JSON.stringify({ id: ++id, method, params: of })
          })
        if (method === "NodeWorker.attachedToWorker") {
          tell("Debugger.enable")
          tell("Runtime.runIfWaitingForDebugger")
        }
        if (method !== "NodeWorker.receivedMessageFromWorker") return
        const message = JSON.parse(params.message)
        if (message.result?.result !== undefined) evaluated(message.result.result.value)
        if (message.method !== "Debugger.paused") return
        const frame = message.params.callFrames[0]
        // Threads pause before their first line as well.
        if (frame.functionName !== "enrich") return tell("Debugger.resume")
        paused(
          frame,
          (expression) =>
            tell("Debugger.evaluateOnCallFrame", { callFrameId: frame.callFrameId, expression }),
          () => tell("Debugger.resume")
        )
      })
      socket.addEventListener("open", () => {
        send("NodeWorker.enable", { waitForDebuggerOnStart: true })
        send("Runtime.runIfWaitingForDebugger")
      })
      return socket
    }),
    (socket) => Effect.sync(() => socket.close())
  )

describe("agentlip plugin run --inspect", () => {
  it.live(
    "stops at a `debugger` statement of the plugin, for longer than its timeout, and goes on",
    () =>
      Effect.gen(function* () {
        const file = path.join(yield* tempWorkspace, "plugin.ts")
        fs.writeFileSync(file, plugin)
        const child = yield* start([
          "plugin",
          "run",
          file,
          "--text",
          "HELLO",
          "--inspect",
          "--inspect-port",
          "0",
          "--timeout",
          "1 second"
        ])
        yield* eventually(Effect.sync(child.err), (text) => text.includes("Waiting for a debugger"))
        const url = /ws:\/\/127\.0\.0\.1:\S+/.exec(child.err())?.[0] ?? ""
        const seen: Array<Json> = []
        const values: Array<Json> = []
        let goOn = (): void => {}
        yield* attach(
          url,
          (frame, evaluate, resume) => {
            seen.push(frame)
            evaluate("message.content_raw")
            goOn = resume
          },
          (value) => values.push(value)
        )
        yield* eventually(
          Effect.sync(() => values.length),
          (count) => count > 0
        )
        assert.deepStrictEqual(values, ["HELLO"])
        // Lines are those of the file, and count from 0 here.
        assert.strictEqual(seen[0].location.lineNumber, 5)
        yield* Effect.sleep("1500 millis")
        assert.strictEqual(child.out(), "")
        goOn()
        const { code, out } = yield* child.ended
        assert.strictEqual(code, 0)
        assert.include(out, "linkifier plugin (p 1.0.0): thread")
        assert.include(out, "  HELLO\n    ^\n")
      }),
    60_000
  )

  it.live(
    "ends with Ctrl-C while it waits for a debugger",
    () =>
      Effect.gen(function* () {
        const file = path.join(yield* tempWorkspace, "plugin.ts")
        fs.writeFileSync(file, plugin)
        const child = yield* start(["plugin", "run", file, "--text", "x", "--inspect", "--inspect-port", "0"])
        yield* eventually(Effect.sync(child.err), (text) => text.includes("Waiting for a debugger"))
        child.process.kill("SIGINT")
        yield* child.ended
        assert.strictEqual(child.process.signalCode, "SIGINT")
      }),
    60_000
  )

  it.live(
    "says so where the port is taken",
    () =>
      Effect.gen(function* () {
        const file = path.join(yield* tempWorkspace, "plugin.ts")
        fs.writeFileSync(file, plugin)
        const first = yield* start(["plugin", "run", file, "--text", "x", "--inspect", "--inspect-port", "0"])
        yield* eventually(Effect.sync(first.err), (text) => text.includes("Waiting for a debugger"))
        const port = /127\.0\.0\.1:(\d+)/.exec(first.err())?.[1] ?? ""
        const second = yield* start([
          "plugin",
          "run",
          file,
          "--text",
          "x",
          "--inspect",
          "--inspect-port",
          port
        ])
        const { code, err } = yield* second.ended
        assert.strictEqual(code, 1)
        assert.match(err, /cannot (?:listen|be opened)/)
      }),
    60_000
  )
})
