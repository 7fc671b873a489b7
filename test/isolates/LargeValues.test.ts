/** Many long messages and outputs at once: each caller gets its own, complete, at a cost linear in its length. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as path from "node:path"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"
import { dataOf, temporary, write } from "../support/plugins.ts"

/** Returns the message, or as many characters as the message asks for. */
const source = `export default {
  name: "large",
  version: "1.0.0",
  enrich({ message }) {
    const [order, length, letter] = message.content_raw.split(" ", 3)
    const text = order === "say" ? letter.repeat(Number(length)) : message.content_raw
    return [{ kind: "a", span: { start: 0, end: 1 }, data: { id: message.id, text } }]
  }
}`

const kibibyte = 1024
/** Characters for the JSON around the text in an output. */
const around = 200

/** Characters that a codec of lines, frames or UTF-8 could break. Each text has its own order of them. */
const parts = [
  "plain ",
  "line\nfeed\r\n",
  "\u2028\u2029",
  "é漢",
  "😀",
  "\u{10ffff}",
  '"\\',
  "\x01\x7f",
  "</script>"
]
const textOf = (n: number, length: number): string => {
  const some = `${n} ${parts.slice(n % parts.length).join("")}${parts.slice(0, n % parts.length).join("")}`
  return some
    .repeat(Math.ceil(length / some.length))
    .slice(0, length)
    .toWellFormed()
}
const hash = (text: unknown): string =>
  createHash("sha256")
    .update(Buffer.from(String(text), "utf16le"))
    .digest("hex")

for (const level of levels.filter(({ reuse }) => reuse === "plugin")) {
  describe(`Large values on ${level.name}`, () => {
    const setUp = Effect.gen(function* () {
      const folder = yield* temporary
      const runtime = yield* PluginRuntime
      const spec = specOn(level, {
        name: "large",
        kind: linkifier,
        modulePath: write(path.join(folder, "large.mjs"), source),
        timeout: "20 seconds"
      })
      return (id: number, content_raw: string) =>
        Effect.map(runtime.run(spec, { message: { ...message, id: String(id), content_raw } }), dataOf)
    })

    it.live("64 messages of 64 KiB at once: each comes back to its own caller", () =>
      Effect.gen(function* () {
        const run = yield* setUp
        const texts = Array.from({ length: 64 }, (_, n) => textOf(n, 64 * kibibyte))
        const outputs = yield* Effect.forEach(texts, (text, n) => run(n, text), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          outputs.map(({ id, text }) => [id, hash(text)]),
          texts.map((text, n) => [String(n), hash(text)])
        )
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )

    it.live("16 outputs of 1 MiB at once: a character costs no more than in small outputs", () =>
      Effect.gen(function* () {
        const run = yield* setUp
        const letters = "abcdefghijklmnop"
        /** Microseconds of processor time of the host and its threads for `many` outputs of that length. */
        const cost = (many: number, length: number) =>
          Effect.gen(function* () {
            const before = process.cpuUsage()
            const outputs = yield* Effect.forEach(
              Array.from({ length: many }, (_, n) => n),
              (n) => run(n, `say ${length} ${letters.charAt(n % letters.length)}`),
              { concurrency: 16 }
            )
            const { user, system } = process.cpuUsage(before)
            for (const [n, { id, text }] of outputs.entries()) {
              assert.strictEqual(id, String(n))
              assert.isTrue(text === letters.charAt(n % letters.length).repeat(length), `output ${n}`)
            }
            return user + system
          })
        const large = 1024 * kibibyte - around
        const small = 128 * kibibyte - around
        yield* cost(64, small)
        yield* cost(8, large)
        const ofSmall = yield* cost(128, small)
        const ofLarge = yield* cost(16, large)
        // Both have the same number of characters. If the cost were quadratic, the ratio would be 8.
        assert.isBelow(ofLarge / ofSmall, 4)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()))
    )
  })
}
