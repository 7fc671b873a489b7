/** What the log says about a plugin's failure: enough to find it, and nothing that may quote a message. */
import {
  ExecutionError,
  InvalidOutput,
  LoadError,
  type PluginError,
  WorkerCrash
} from "@agentlip/plugin-runtime"
import { assert, describe, it } from "vitest"
import { loggedFailureOf } from "../src/jobs/failureOf.ts"

const said = "what the message says"
const plain = { text: (text: string) => text.replaceAll("s3cret", "[config]"), json: <A>(json: A): A => json }
const logged = (error: PluginError) => loggedFailureOf(error, plain)
const threw = (name: string, message: string, stack?: string) =>
  new ExecutionError({ plugin: "p", cause: { name, message, ...(stack === undefined ? {} : { stack }) } })

describe("the log line of a failure", () => {
  it("names a thrown error and its place", () => {
    const frames = "\n    at inner (plugins/p.ts:3:9)\n    at enrich (plugins/p.ts:9:1)"
    assert.deepStrictEqual(logged(threw("TypeError", said, `TypeError: ${said}${frames}`)), {
      error: "TypeError",
      at: "plugins/p.ts:3:9"
    })
    assert.deepStrictEqual(logged(threw("Error", "", `Error\n    at plugins/p.ts:1:2`)), {
      error: "Error",
      at: "plugins/p.ts:1:2"
    })
    assert.deepStrictEqual(logged(threw("RangeError", said)), { error: "RangeError" })
  })

  it("takes no frame from the text of an error, and no text for a name", () => {
    const forged = `oh\n    at ${said.replaceAll(" ", "_")} (${said.replaceAll(" ", "_")}:1:1)`
    assert.deepStrictEqual(logged(threw("Error", forged, `Error: ${forged}\n    at enrich (p.ts:7:5)`)), {
      error: "Error",
      at: "p.ts:7:5"
    })
    // A stack that does not begin with its error.
    assert.deepStrictEqual(logged(threw("Error", "x", forged)), { error: "Error" })
    assert.deepStrictEqual(logged(threw(said, "x")), { error: "Error" })
  })

  it("has the whole text of a load error, without secrets", () => {
    const place = { file: "p.ts", line: 4, column: 2, frame: "" }
    const error = new LoadError({ plugin: "p", modulePath: "p.ts", reason: "no s3cret here", place })
    const found = logged(error)
    assert.strictEqual(found.at, "p.ts:4:2")
    assert.include(found.error, "no [config] here")
  })

  it("has nothing of an output or of a crash's text", () => {
    assert.deepStrictEqual(logged(new InvalidOutput({ plugin: "p", issue: said })), {})
    assert.deepStrictEqual(logged(new WorkerCrash({ plugin: "p", reason: said, exitCode: 7 })), {
      error: "exit code 7"
    })
  })
})
