/** The frame codec of the process level: lines of UTF-8, whatever bytes arrive and however they are cut. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { LineDecoder } from "../../src/isolates/levels/process/LineDecoder.ts"

interface Decoded {
  readonly lines: ReadonlyArray<string>
  readonly tooLong: ReadonlyArray<number>
}

/** Decodes bytes that arrive in chunks of these lengths, repeated. */
const decode = (bytes: Buffer, chunks: ReadonlyArray<number>, maxLength = 1_000_000): Decoded => {
  const lines: Array<string> = []
  const tooLong: Array<number> = []
  const decoder = new LineDecoder(
    maxLength,
    (line) => lines.push(line),
    (length) => tooLong.push(length)
  )
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = chunks[turn % chunks.length] ?? 1
    decoder.push(bytes.subarray(at, at + length))
    at += length
  }
  return { lines, tooLong }
}

const Text = Arbitrary.map(Arbitrary.schema(Schema.String), (text) =>
  text.toWellFormed().replaceAll("\n", "¶")
)
const Texts = Arbitrary.array(Text, { maxLength: 20 })
const Cuts = Arbitrary.array(
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))),
  {
    minLength: 1,
    maxLength: 10
  }
)
const Garbage = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), {
    maxLength: 400
  }),
  (bytes) => Buffer.from(bytes)
)

const many = { arbitrary: { runs: 300 } }

describe("Lines", () => {
  it.effect.prop(
    "are decoded unchanged, wherever the stream is cut",
    { texts: Texts, cuts: Cuts },
    ({ texts, cuts }) =>
      Effect.sync(() => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(""))
        assert.deepStrictEqual(decode(bytes, cuts), { lines: texts, tooLong: [] })
      }),
    many
  )

  it.effect.prop(
    "of arbitrary bytes are split at line feeds and never throw",
    { garbage: Garbage, cuts: Cuts },
    ({ garbage, cuts }) =>
      Effect.sync(() => {
        const { lines, tooLong } = decode(garbage, cuts)
        const expected = garbage.toString("latin1").split("\n").slice(0, -1)
        assert.deepStrictEqual(
          lines,
          expected.map((line) => Buffer.from(line, "latin1").toString("utf8"))
        )
        assert.deepStrictEqual(tooLong, [])
      }),
    many
  )

  it.effect.prop(
    "without a line feed at the end are not delivered",
    { texts: Texts, cuts: Cuts },
    ({ texts, cuts }) =>
      Effect.sync(() => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(""))
        const { lines } = decode(bytes.subarray(0, -1), cuts)
        assert.deepStrictEqual(lines, texts.slice(0, -1))
      }),
    many
  )

  it.effect.prop(
    "over the limit are reported once, and no line follows",
    { texts: Texts, cuts: Cuts },
    ({ texts, cuts }) =>
      Effect.sync(() => {
        const long = "x".repeat(2_001)
        const bytes = Buffer.from([...texts, long, "after", long].map((text) => `${text}\n`).join(""))
        const { lines, tooLong } = decode(bytes, cuts, 2_000)
        assert.deepStrictEqual(lines, texts)
        assert.lengthOf(tooLong, 1)
        // Reported as soon as the limit is exceeded, not when the line ends.
        assert.isAtMost(tooLong[0] ?? 0, 2_001 + 9)
      }),
    many
  )

  it("of exactly the limit are delivered", () => {
    assert.deepStrictEqual(decode(Buffer.from("xxxx\nxxxx\n"), [3], 4).lines, ["xxxx", "xxxx"])
    assert.deepStrictEqual(decode(Buffer.from("xxxxx\n"), [3], 4), { lines: [], tooLong: [5] })
  })

  it("have a limit that can be raised between two lines", () => {
    const lines: Array<string> = []
    const decoder = new LineDecoder(
      4,
      (line) => {
        lines.push(line)
        decoder.maxLength = 8
      },
      () => assert.fail("too long")
    )
    decoder.push(Buffer.from("abcd\nabcdefgh\n"))
    assert.deepStrictEqual(lines, ["abcd", "abcdefgh"])
  })

  it("that arrive byte by byte need no object per byte", () => {
    const decoder = new LineDecoder(
      1_000_000,
      () => assert.fail("no line has ended"),
      () => assert.fail("too long")
    )
    const one = Buffer.from("x")
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < 200_000; n++) decoder.push(one)
    assert.isBelow(process.memoryUsage().heapUsed - before, 32 * 1024 * 1024)
  })
})
