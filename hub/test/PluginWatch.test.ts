/** `agentlip plugin run --watch`, as a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { type Child, start } from "./cli.ts"
import { eventually, tempWorkspace } from "./testHub.ts"

const plugin = `import { word } from "./word.ts"
export default {
  name: "p",
  version: "1.0.0",
  enrich: ({ message, config }) => {
    const start = message.content_raw.indexOf(word)
    return [{ kind: config.kind ?? "word", span: { start, end: start + word.length }, data: {} }]
  }
}`

const word = (text: string): string => `export const word: string = "${text}"\n`

/** Waits until it has run so often and waits for a change again. */
const ran = (child: Child, times: number) =>
  eventually(
    Effect.sync(child.err),
    (shown) => shown.split("waiting for a change").length === times + 1,
    60_000
  )

describe("agentlip plugin run --watch", { timeout: 180_000 }, () => {
  it.live(
    "runs again when a file that it imports or a flag names changes, shows errors, and ends with 0",
    () =>
      Effect.gen(function* () {
        const folder = yield* tempWorkspace
        const at = (name: string): string => path.join(folder, name)
        const write = (name: string, text: string): void => fs.writeFileSync(at(name), text)
        write("p.ts", plugin)
        write("word.ts", word("ONE"))
        write("message.json", '{"content_raw":"ONE and TWO"}')
        write("config.json", "{}")
        const child = yield* start([
          "plugin",
          "run",
          at("p.ts"),
          "--message",
          at("message.json"),
          "--config",
          `@${at("config.json")}`,
          "--watch"
        ])
        yield* ran(child, 1)
        assert.include(child.out(), '0-3  "ONE"')

        write("word.ts", word("TWO"))
        yield* ran(child, 2)
        assert.include(child.out(), '8-11  "TWO"')
        assert.match(child.err(), /word\.ts changed; running again\n/)

        write("message.json", '{"content_raw":"TWO only"}')
        yield* ran(child, 3)
        assert.include(child.out(), '0-3  "TWO"')

        write("config.json", '{"kind":"number"}')
        yield* ran(child, 4)
        assert.include(child.out(), 'number  0-3  "TWO"')

        // A module that does not compile, or is missing, is watched too.
        write("word.ts", "export const word: = 1\n")
        yield* ran(child, 5)
        assert.match(child.err(), /agentlip: LOAD_ERROR: SyntaxError/)
        fs.rmSync(at("word.ts"))
        yield* ran(child, 6)
        assert.match(child.err(), /there is no file/)
        write("message.json", "{")
        yield* ran(child, 7)
        assert.match(child.err(), /holds no JSON object/)
        write("message.json", '{"content_raw":"all THREE"}')
        yield* ran(child, 8)
        write("word.ts", word("THREE"))
        yield* ran(child, 9)
        assert.include(child.out(), '4-9  "THREE"')
        // Of earlier runs nothing is cleared.
        assert.strictEqual(child.out().split("1 enrichment;").length - 1, 5)
        assert.notInclude(child.out(), "\u001b")

        child.process.kill("SIGINT")
        assert.strictEqual((yield* child.ended).code, 0)
      })
  )

  it.live("fails at once if its flags cannot be used, and reads stdin once", () =>
    Effect.gen(function* () {
      const folder = yield* tempWorkspace
      fs.writeFileSync(path.join(folder, "p.ts"), plugin)
      fs.writeFileSync(path.join(folder, "word.ts"), word("ONE"))
      const file = path.join(folder, "p.ts")
      const refused = yield* start(["plugin", "run", file, "--text", "x", "--timeout", "soon", "--watch"])
      assert.strictEqual((yield* refused.ended).code, 1)
      const child = yield* start(["plugin", "run", file, "--text", "-", "--watch", "--json"], "a ONE\n")
      const documents = (): ReadonlyArray<{ readonly ok: boolean; readonly text: string }> =>
        child
          .out()
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      yield* eventually(Effect.sync(documents), (all) => all.length === 1)
      fs.appendFileSync(file, "\n")
      yield* eventually(Effect.sync(documents), (all) => all.length === 2)
      assert.deepStrictEqual(
        documents().map(({ ok, text }) => [ok, text]),
        [
          [true, "a ONE"],
          [true, "a ONE"]
        ]
      )
      assert.strictEqual(child.err(), "")
      child.process.kill("SIGTERM")
      assert.strictEqual((yield* child.ended).code, 0)
    })
  )
})
