/** `testRun`: the rules of a run, without an isolate. */
import { assert, describe, it } from "vitest"
import { extractor, linkifier } from "../src/author.ts"
import { testRun } from "../src/testing.ts"

const shout = linkifier<{ readonly least: number }>({
  name: "shout",
  version: "1.0.0",
  configSchema: {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => {
        const least: unknown = Reflect.get(Object(value), "least") ?? 3
        return typeof least === "number"
          ? { value: { least } }
          : { issues: [{ message: "expected a number", path: ["least"] }] }
      }
    }
  },
  enrich: async ({ message, config }, { log, fetch, signal }) => {
    log.info("asked by", message.sender)
    if (message.content_raw === "fetch") await fetch("https://example.com")
    signal.throwIfAborted()
    return message.content_raw
      .matchAll(/[A-Z]+/g)
      .filter(([text]) => text.length >= config.least)
      .map(({ 0: text, index }) => ({
        kind: "shout",
        span: { start: index, end: index + text.length },
        data: { text }
      }))
      .toArray()
  }
})

const rejected = (promise: Promise<unknown>): Promise<{ readonly _tag: string; readonly message: string }> =>
  promise.then(
    () => assert.fail("it ran"),
    (error) => error
  )

describe("testRun", () => {
  it("resolves with what a linkifier found, typed", async () => {
    const logged: Array<string> = []
    const found = await testRun(shout, "now SHIP IT", {
      message: { sender: "ada" },
      log: { info: (...args) => void logged.push(args.join(" ")) }
    })
    const starts: ReadonlyArray<number> = found.map(({ span }) => span.start)
    assert.deepStrictEqual(starts, [4])
    assert.deepStrictEqual(found[0]?.data, { text: "SHIP" })
    assert.deepStrictEqual(logged, ["asked by ada"])
  })

  it("resolves with what an extractor attaches, typed", async () => {
    const facts = await testRun(
      extractor({
        name: "facts",
        version: "1.0.0",
        extract: ({ message }) => [{ kind: "length", value_json: { length: message.content_raw.length } }]
      }),
      "four"
    )
    const values: ReadonlyArray<object> = facts.map(({ value_json }) => value_json)
    assert.deepStrictEqual(values, [{ length: 4 }])
  })

  it("gives the config that configSchema makes of it, and rejects one that it refuses", async () => {
    assert.lengthOf(await testRun(shout, "SHIP IT", { config: { least: 2 } }), 2)
    const refused = await rejected(testRun(shout, "SHIP", { config: { least: "two" } }))
    assert.strictEqual(refused._tag, "LOAD_ERROR")
    assert.include(refused.message, "config.least: expected a number")
  })

  it("rejects what the runtime would refuse, with the same words", async () => {
    const returns = (output: unknown) =>
      rejected(
        testRun({ name: "p", version: "1.0.0", enrich: () => output as ReadonlyArray<never> }, "hello")
      )
    for (const [output, says] of [
      [[{ kind: "k", span: { start: 0, end: 9 }, data: {} }], "[0].span.end"],
      [[{ kind: "k", span: { start: 0, end: 1 }, data: { a: Number.NaN } }], "[0].data.a: expected a finite"],
      [[1].values(), ".toArray()"],
      [undefined, "nothing (undefined)"]
    ] as const) {
      const error = await returns(output)
      assert.strictEqual(error._tag, "INVALID_OUTPUT")
      assert.include(error.message, says)
    }
  })

  it("rejects what the plugin throws, and fetches that the test does not answer", async () => {
    const error = await rejected(testRun(shout, "fetch"))
    assert.strictEqual(error._tag, "EXECUTION_ERROR")
    assert.include(error.message, "options.fetch")
  })
})
