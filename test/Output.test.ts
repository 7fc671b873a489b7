/** The output rules, one row each, and that no text whatever gets past them or takes the host down. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Duration, Effect, Exit, Layer, Schema } from "effect"
import { CircuitBreaker } from "../src/CircuitBreaker.ts"
import { InvalidOutput } from "../src/Errors.ts"
import { makeOutputDecoder } from "../src/Output.ts"
import { defaultLimits, type Limits, makeSpec } from "../src/Plugin.ts"
import { extractor, linkifier, makeKind, maxAttachmentBytes } from "../src/PluginKinds.ts"
import { PluginRuntime } from "../src/Runtime.ts"
import { maxOutputDepth } from "../src/spec/settings.ts"
import { WorkerLayer } from "../src/WorkerLayer.ts"
import { messageOf } from "./fixtures/library/message.ts"

const message = messageOf("0123456789")
const kinds = { linkifier, extractor }
type KindName = keyof typeof kinds

const specOf = (kind: KindName, limits: Partial<Limits> = {}) =>
  makeSpec({ name: "p", kind: kinds[kind], modulePath: "/plugins/p.ts", limits })

/** What becomes of a text that a plugin answered with. */
const judge = (kind: KindName, text: string, limits?: Partial<Limits>) =>
  makeOutputDecoder(specOf(kind, limits))({ message }, text)

const link = (change: object = {}) => ({ kind: "k", span: { start: 0, end: 1 }, data: {}, ...change })
const fact = (change: object = {}) => ({ kind: "k", value_json: {}, ...change })
const span = (start: unknown, end: unknown) => link({ span: { start, end } })
const nested = (levels: number, core = "0") => "[".repeat(levels) + core + "]".repeat(levels)

/** The text of a list in a list, with so many values in all. */
const listed = (values: number) =>
  `[[${Array(values - 2)
    .fill("0")
    .join(",")}]]`

/** An attachment whose `value_json` takes so many bytes. */
const factOf = (bytes: number, letter: string) => {
  const frame = '{"x":""}'.length
  const width = Buffer.byteLength(letter)
  const padding = "-".repeat((bytes - frame) % width)
  return fact({ value_json: { x: letter.repeat(Math.floor((bytes - frame) / width)) + padding } })
}

describe("Output: refused, and the issue says where, what was expected and what came", () => {
  const rows: ReadonlyArray<readonly [KindName, unknown, string]> = [
    ["linkifier", null, "expected array, got null"],
    ["linkifier", {}, "expected array, got an object"],
    ["linkifier", "text", 'expected array, got "text"'],
    ["linkifier", [[]], "[0]: expected object, got an array of 0"],
    ["linkifier", [link(), null], "[1]: expected object, got null"],
    ["linkifier", [link({ kind: "" })], '[0].kind: expected a string that is not blank, got ""'],
    ["linkifier", [link({ kind: " \t\n" })], '[0].kind: expected a string that is not blank, got " \\t\\n"'],
    [
      "linkifier",
      [link({ kind: "\u00a0\u3000" })],
      '[0].kind: expected a string that is not blank, got "\u00a0\u3000"'
    ],
    ["linkifier", [link({ kind: 5 })], "[0].kind: expected string, got 5"],
    ["linkifier", [{ span: { start: 0, end: 1 }, data: {} }], "[0].kind: expected a value, got nothing"],
    ["linkifier", [link({ span: [0, 1] })], "[0].span: expected object, got an array of 2"],
    ["linkifier", [link({ span: { start: 0 } })], "[0].span.end: expected a value, got nothing"],
    ["linkifier", [span(-1, 1)], "[0].span.start: expected a value greater than or equal to 0, got -1"],
    ["linkifier", [span(0.5, 1)], "[0].span.start: expected an integer, got 0.5"],
    // What JSON makes of NaN and of infinities.
    ["linkifier", [span(Number.NaN, 1)], "[0].span.start: expected number, got null"],
    ["linkifier", [span(0, Number.POSITIVE_INFINITY)], "[0].span.end: expected number, got null"],
    ["linkifier", [span(0, "1")], '[0].span.end: expected number, got "1"'],
    ["linkifier", [span(0, 2 ** 53)], "[0].span.end: expected an integer, got 9007199254740992"],
    ["linkifier", [link(), span(1, 1)], "[1].span.end: expected more than the start (1), got 1"],
    ["linkifier", [span(2, 1)], "[0].span.end: expected more than the start (2), got 1"],
    ["linkifier", [link(), span(9, 11)], "[1].span.end: expected at most 10 (the message's length), got 11"],
    ["linkifier", [link({ data: [1, 2] })], "[0].data: expected a plain object, got an array of 2"],
    ["linkifier", [link({ data: null })], "[0].data: expected a plain object, got null"],
    [
      "linkifier",
      [link({ data: "x".repeat(70) })],
      `[0].data: expected a plain object, got "${"x".repeat(60)}…"`
    ],
    ["linkifier", [{ kind: "k", span: { start: 0, end: 1 } }], "[0].data: expected a value, got nothing"],
    ["extractor", [fact({ key: 5 })], "[0].key: expected string, got 5"],
    ["extractor", [fact({ key: null })], "[0].key: expected string, got null"],
    [
      "extractor",
      [fact({ dedupe_key: " " })],
      '[0].dedupe_key: expected a string that is not blank, got " "'
    ],
    ["extractor", [fact({ dedupe_key: null })], "[0].dedupe_key: expected string, got null"],
    ["extractor", [fact({ value_json: [] })], "[0].value_json: expected a plain object, got an array of 0"],
    ["extractor", [{ kind: "k" }], "[0].value_json: expected a value, got nothing"],
    ["extractor", [fact({ kind: " " })], '[0].kind: expected a string that is not blank, got " "'],
    [
      "extractor",
      [factOf(maxAttachmentBytes + 1, "y")],
      "[0].value_json: expected at most 16384 bytes of JSON, got 16385"
    ],
    [
      "extractor",
      [factOf(maxAttachmentBytes + 1, "é")],
      "[0].value_json: expected at most 16384 bytes of JSON, got 16385"
    ],
    // Fewer UTF-16 units than the limit has bytes.
    [
      "extractor",
      [factOf(maxAttachmentBytes + 1, "日")],
      "[0].value_json: expected at most 16384 bytes of JSON, got 16385"
    ],
    [
      "linkifier",
      Array.from({ length: 1_001 }, () => link()),
      "expected at most 1000 items (limits.outputItems), got 1001"
    ]
  ]
  it.effect.each(rows)("%#: %s", ([kind, output, issue]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(judge(kind, JSON.stringify(output)))
      assert.instanceOf(error, InvalidOutput)
      assert.strictEqual(error.plugin, "p")
      assert.strictEqual(error.issue, issue)
    })
  )

  const texts: ReadonlyArray<readonly [string, string, string]> = [
    ["nothing", "", 'expected JSON, got ""'],
    ["undefined", "undefined", 'expected JSON, got "undefined"'],
    ["NaN", "NaN", 'expected JSON, got "NaN"'],
    ["a truncated text", '[{"kind":"k"', 'expected JSON, got "[{\\"kind\\":\\"k\\""'],
    ["two texts", "[] []", 'expected JSON, got "[] []"'],
    [
      "over 1 MiB",
      `[${" ".repeat(defaultLimits.outputLength - 1)}]`,
      "expected at most 1048576 characters of JSON (limits.outputLength), got 1048577"
    ],
    ["65 levels", nested(65), "expected at most 64 levels of nesting (limits.outputDepth), got more"],
    [
      "100,000 levels",
      nested(100_000),
      "expected at most 64 levels of nesting (limits.outputDepth), got more"
    ],
    [
      "100,000 levels of objects",
      '{"a":'.repeat(100_000) + "0" + "}".repeat(100_000),
      "expected at most 64 levels of nesting (limits.outputDepth), got more"
    ],
    [
      "20,001 values",
      listed(defaultLimits.outputValues + 1),
      "expected at most 20000 JSON values (limits.outputValues), got more"
    ],
    [
      "half of a surrogate pair that is not escaped",
      '[{"kind":"\ud800"}]',
      "expected JSON in well-formed Unicode, got half a surrogate pair"
    ],
    ...(
      [
        ['"kind":"\\ud800"', "[0].kind: expected well-formed Unicode, got half a surrogate pair"],
        [
          '"data":{"a":["\\uDC00\\uD800"]}',
          "[0].data.a[0]: expected well-formed Unicode, got half a surrogate pair"
        ],
        ['"kind":"a\\u0000"', "[0].kind: expected text without U+0000, got one"],
        [
          '"data":{"a":{"\\u0000":1}}',
          '[0].data.a["\\u0000"]: expected a key in text without U+0000, got one'
        ],
        ['"data":{"a":[{"n":1e999}]}', "[0].data.a[0].n: expected a finite number, got Infinity"],
        ['"span":{"start":-1e999}', "[0].span.start: expected a finite number, got -Infinity"],
        [`"data":{"n":${"9".repeat(309)}}`, "[0].data.n: expected a finite number, got Infinity"]
      ] as const
    ).map(([members, issue]) => [members.slice(0, 60), `[{${members}}]`, issue] as const),
    ["Infinity by itself", "1e999", "expected a finite number, got Infinity"],
    ["half a pair by itself", '"\\ud800"', "expected well-formed Unicode, got half a surrogate pair"],
    ["__proto__ on top", '{"__proto__":[]}', 'expected no key "__proto__", got one'],
    ["__proto__ of an item", '[{"__proto__":{"kind":"k"}}]', 'expected no key "__proto__", got one'],
    [
      "__proto__ far inside",
      '[{"kind":"k","span":{"start":0,"end":1},"data":{"a":[{"\\u005f_proto__":{"evil":1}}]}}]',
      'expected no key "__proto__", got one'
    ]
  ]
  it.effect.each(texts)("%s", ([, text, issue]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(judge("linkifier", text))).issue, issue)
      assert.isUndefined(Reflect.get({}, "evil"))
    })
  )

  it.effect("limits of the spec are the ones that count", () =>
    Effect.gen(function* () {
      const limits = { outputItems: 1, outputLength: 60, outputDepth: 2, outputValues: 4 }
      const issueOf = (output: unknown) =>
        Effect.map(Effect.flip(judge("extractor", JSON.stringify(output), limits)), ({ issue }) => issue)
      assert.include(yield* issueOf([1, 2]), "at most 1 items (limits.outputItems), got 2")
      assert.include(
        yield* issueOf("x".repeat(59)),
        "at most 60 characters of JSON (limits.outputLength), got 61"
      )
      assert.include(yield* issueOf([[[]]]), "at most 2 levels of nesting (limits.outputDepth)")
      assert.include(yield* issueOf([[1, 2, 3, 4]]), "at most 4 JSON values (limits.outputValues)")
      assert.include(yield* issueOf([1, 2, [], {}]), "at most 1 items (limits.outputItems), got 4")
    })
  )
})

describe("Output: accepted", () => {
  const rows: ReadonlyArray<readonly [string, KindName, unknown]> = [
    ["nothing found", "linkifier", []],
    ["the whole message", "linkifier", [span(0, 10)]],
    ["duplicates and overlaps", "linkifier", [link(), link(), span(0, 5), span(3, 7)]],
    ["exactly 1,000 items", "linkifier", Array.from({ length: 1_000 }, () => link())],
    ["a kind with blanks around", "linkifier", [link({ kind: " k " })]],
    [
      "keys that prototypes have",
      "linkifier",
      [link({ data: { constructor: { a: 1 }, toString: 1, hasOwnProperty: null } })]
    ],
    ["no key, no dedupe_key", "extractor", [fact()]],
    ["an empty key", "extractor", [fact({ key: "" })]],
    ["a dedupe_key", "extractor", [fact({ key: "k", dedupe_key: "d" })]],
    ["a value_json of 16 KiB", "extractor", [factOf(maxAttachmentBytes, "y")]],
    ["a value_json of 16 KiB in UTF-8, of two bytes", "extractor", [factOf(maxAttachmentBytes, "é")]],
    ["a value_json of 16 KiB in UTF-8, of four bytes", "extractor", [factOf(maxAttachmentBytes, "😀")]]
  ]
  it.effect.each(rows)("%s", ([, kind, output]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* judge(kind, JSON.stringify(output)), output)
    })
  )

  it.effect("a text of exactly 1 MiB", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* judge("linkifier", `[${" ".repeat(defaultLimits.outputLength - 2)}]`), [])
    })
  )

  it.effect("exactly 20,000 values; commas and brackets in texts do not count", () =>
    Effect.gen(function* () {
      // The list, the item, its three fields, the span's two, and the list in the data.
      const rest = defaultLimits.outputValues - 8
      const texts = Array.from({ length: rest }, () => '[,]{,}:\\",')
      const output = [link({ data: { x: texts } })]
      assert.deepStrictEqual(yield* judge("linkifier", JSON.stringify(output, undefined, 1)), output)
      const more = [link({ data: { x: [...texts, {}] } })]
      assert.include(
        (yield* Effect.flip(judge("linkifier", JSON.stringify(more)))).issue,
        "limits.outputValues"
      )
    })
  )

  it.effect("64 levels", () =>
    Effect.gen(function* () {
      // The list, the attachment and its value_json are three.
      const output = yield* judge("extractor", `[{"kind":"k","value_json":{"x":${nested(61)}}}]`)
      assert.deepStrictEqual(output, [fact({ value_json: { x: JSON.parse(nested(61)) } })])
    })
  )

  it.effect("keys that the contract does not know are dropped", () =>
    Effect.gen(function* () {
      const output = [link({ extra: 1, span: { start: 0, end: 1, extra: 1 } })]
      assert.deepStrictEqual(yield* judge("linkifier", JSON.stringify(output)), [link()])
    })
  )

  it.effect("a zero has no sign, as JSON would write it, and whole pairs of surrogates stay", () =>
    Effect.gen(function* () {
      const output = yield* judge(
        "linkifier",
        '[{"kind":"\\ud83d\\ude00","span":{"start":-0,"end":1},"data":{"n":-0.0,"list":[-1e-999,1]}}]'
      )
      assert.deepStrictEqual(output, [link({ kind: "😀", data: { n: 0, list: [0, 1] } })])
    })
  )

  it.effect("escapes that are no halves and no U+0000 stay", () =>
    Effect.gen(function* () {
      const output = [link({ data: { "\u0001": "\u001f\\u0000\\ud800" } })]
      assert.deepStrictEqual(yield* judge("linkifier", JSON.stringify(output)), output)
    })
  )
})

describe("Output: any text", () => {
  const piece = Arbitrary.schema(
    Schema.Literals([
      "[",
      "]",
      "{",
      "}",
      ",",
      ":",
      "null",
      "1e999",
      "-0",
      "0.1",
      '"kind"',
      '"span"',
      '"start"',
      '"end"',
      '"data"',
      '"__proto__"',
      '"\\ud800"',
      "\u2028",
      " ",
      "\\",
      '"'
    ])
  )
  const garbage = Arbitrary.map(Arbitrary.array(piece, { maxLength: 40 }), (pieces) => pieces.join(""))
  const offsets = Schema.Literals([0, 1, 10, 11, -1, 0.5])
  const almost = Schema.Array(
    Schema.Struct({
      kind: Schema.Union([Schema.String, Schema.Literal("k")]),
      span: Schema.Struct({ start: offsets, end: offsets }),
      data: Schema.Union([Schema.Json, Schema.Struct({})]),
      value_json: Schema.Union([Schema.Json, Schema.Struct({})]),
      key: Schema.optionalKey(Schema.Union([Schema.String, Schema.Null])),
      dedupe_key: Schema.optionalKey(Schema.String)
    })
  )

  /** An output that keeps the rules, or INVALID_OUTPUT; nothing else, and soon. */
  const assertJudged = (text: string) =>
    Effect.gen(function* () {
      for (const kind of ["linkifier", "extractor"] as const) {
        const start = performance.now()
        const exit = yield* Effect.exit(judge(kind, text))
        assert.isBelow(performance.now() - start, 5_000)
        if (Exit.isSuccess(exit)) {
          assert.isTrue(Schema.is(kinds[kind].output)(exit.value), text)
        } else {
          const error = yield* Effect.flip(exit)
          assert.instanceOf(error, InvalidOutput)
          assert.match(error.issue, /expected .+, got /)
          assert.isAtMost(error.issue.length, 8_000)
          assert.notMatch(error.issue, /[\p{C}\p{Zl}\p{Zp}]/u)
        }
      }
    })

  it.effect.prop("garbage", { garbage }, ({ garbage }) => assertJudged(garbage), { arbitrary: { runs: 500 } })
  it.effect.prop("any JSON", { json: Schema.Json }, ({ json }) => assertJudged(JSON.stringify(json)), {
    arbitrary: { runs: 300 }
  })
  it.effect.prop("nearly right", { almost }, ({ almost }) => assertJudged(JSON.stringify(almost)), {
    arbitrary: { runs: 500 }
  })
  it.effect.prop(
    "cut short",
    { almost, at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 })) },
    ({ almost, at }) => assertJudged(JSON.stringify(almost).slice(0, at)),
    { arbitrary: { runs: 300 } }
  )

  const mebibyte = defaultLimits.outputLength
  const heavy: ReadonlyArray<readonly [string, string]> = [
    ["one long text", JSON.stringify("x".repeat(mebibyte - 2))],
    [
      "20,000 values in one list",
      `[{"kind":"k","value_json":{"x":${listed(defaultLimits.outputValues - 4)}}}]`
    ],
    ["one array, deep", nested(mebibyte / 2 - 1)],
    ["one array, wide", `[[${"0,".repeat(mebibyte / 2 - 10)}0]]`],
    ["empty objects", `[{"kind":"k","value_json":{"x":[${"{},".repeat(mebibyte / 3 - 20)}{}]}}]`],
    ["many keys", `[{"value_json":{${Array.from({ length: 90_000 }, (_, n) => `"${n}a":0`).join(",")}}}]`],
    ["oversize", "x".repeat(20 * mebibyte)],
    ["escapes", `["${"\\u202e".repeat(mebibyte / 6 - 2)}"]`]
  ]
  it.effect.each(heavy)("heavy: %s", ([, text]) => assertJudged(text))
})

describe("Output: a hub's own kind", () => {
  interface Tree {
    readonly children: ReadonlyArray<Tree>
  }
  const Tree: Schema.Codec<Tree> = Schema.Struct({ children: Schema.Array(Schema.suspend(() => Tree)) })
  const spec = makeSpec({
    name: "reminders",
    modulePath: "/plugins/reminders.ts",
    kind: makeKind({
      name: "reminder",
      method: "remind",
      input: Schema.Struct({ now: Schema.DateTimeUtcFromString }),
      output: Schema.Struct({ at: Schema.DateTimeUtcFromString, score: Schema.FiniteFromString }),
      check: ({ at }, { now }) =>
        DateTime.isLessThan(at, now)
          ? `at: expected a time to come, got ${DateTime.formatIso(at)}`
          : undefined
    })
  })
  const now = DateTime.makeUnsafe("2026-01-01T00:00:00Z")
  const answering = (answer: (input: unknown) => unknown) =>
    Effect.provide(
      PluginRuntime.layer.pipe(
        Layer.provide(CircuitBreaker.layer()),
        Layer.provide(WorkerLayer.layerTest({ reminders: (input) => Effect.sync(() => answer(input)) }))
      )
    )
  const run = Effect.flatMap(PluginRuntime, (runtime) => runtime.run(spec, { now }))

  it.effect("its input is encoded, its output decoded and typed", () =>
    Effect.gen(function* () {
      let asked: unknown
      const reminder = yield* run.pipe(
        answering((input) => {
          asked = input
          return { at: "2026-01-02T00:00:00Z", score: "0.5", more: 1 }
        })
      )
      assert.deepStrictEqual(asked, { now: "2026-01-01T00:00:00.000Z", config: {} })
      const typed: { readonly at: DateTime.Utc; readonly score: number } = reminder
      assert.strictEqual(Duration.toHours(DateTime.distance(now, typed.at)), 24)
      assert.strictEqual(typed.score, 0.5)
    })
  )

  const refused: ReadonlyArray<readonly [unknown, string]> = [
    [{ at: "soon", score: "1" }, 'at: expected a valid UTC DateTime string, got "soon"'],
    [{ at: "2026-01-02T00:00:00Z", score: "NaN" }, 'score: expected a finite number, got "NaN"'],
    [{ at: "2026-01-02T00:00:00Z", score: 1 }, "score: expected string, got 1"],
    [{ at: "2025-01-02T00:00:00Z", score: "1" }, "at: expected a time to come, got 2025-01-02T00:00:00.000Z"],
    [undefined, 'expected JSON, got "undefined"']
  ]
  it.effect.each(refused)("%j is refused", ([answer, issue]) =>
    Effect.gen(function* () {
      const error = yield* run.pipe(
        answering(() => answer),
        Effect.flip
      )
      assert.instanceOf(error, InvalidOutput)
      assert.strictEqual(error.issue, issue)
    })
  )

  const recordSpec = makeSpec({
    name: "counts",
    modulePath: "/plugins/counts.ts",
    kind: makeKind({
      name: "counter",
      method: "count",
      input: Schema.Struct({}),
      output: Schema.Record(Schema.String, Schema.Finite)
    })
  })
  const keys: ReadonlyArray<readonly [string, string]> = [
    ["a", 'a: expected number, got "x"'],
    ["a.b", '["a.b"]: expected number, got "x"'],
    ['a"]b', '["a\\"]b"]: expected number, got "x"'],
    ["", '[""]: expected number, got "x"'],
    ["0", '["0"]: expected number, got "x"'],
    ["toString", 'toString: expected number, got "x"'],
    ["\u202egpj.exe\n", '["\\u202egpj.exe\\n"]: expected number, got "x"'],
    ["\u{e0041}", '["\\u{e0041}"]: expected number, got "x"'],
    ["k".repeat(3_000), `["${"k".repeat(60)}…"]: expected number, got "x"`]
  ]
  it.effect.each(keys)("a key of a plugin's choice cannot spoil the issue: %j", ([key, issue]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(makeOutputDecoder(recordSpec)({}, JSON.stringify({ [key]: "x" })))
      assert.strictEqual(error.issue, issue)
    })
  )

  it.effect("issues of a long list name the item's place in the whole list", () =>
    Effect.gen(function* () {
      const output = [...Array.from({ length: 998 }, () => link()), link({ kind: 5 }), null]
      const error = yield* Effect.flip(judge("linkifier", JSON.stringify(output)))
      assert.strictEqual(error.issue, "[998].kind: expected string, got 5")
    })
  )

  const listSpec = (output: Schema.Codec<unknown, unknown>) =>
    makeSpec({
      name: "lists",
      modulePath: "/plugins/lists.ts",
      kind: makeKind({ name: "lister", method: "list", input: Schema.Struct({}), output })
    })
  it.effect("a rule for a whole list sees the whole list", () =>
    Effect.gen(function* () {
      const pair = Schema.makeFilter((list: ReadonlyArray<number>) => list.length === 250 || "250 numbers")
      const spec = listSpec(Schema.Array(Schema.Finite).check(pair))
      const numbers = Array.from({ length: 250 }, (_, index) => index)
      assert.deepStrictEqual(yield* makeOutputDecoder(spec)({}, JSON.stringify(numbers)), numbers)
      const error = yield* Effect.flip(makeOutputDecoder(spec)({}, JSON.stringify([...numbers, 1])))
      assert.strictEqual(error.issue, "expected 250 numbers, got an array of 251")
    })
  )

  it.live("a long list of what is slow to decode leaves the event loop to others", () =>
    Effect.gen(function* () {
      const member = (label: number) =>
        Schema.Struct({
          a: Schema.Array(Schema.Struct({ x: Schema.Literal(label), y: Schema.String })),
          b: Schema.Finite
        })
      const spec = listSpec(
        Schema.Array(Schema.Union(Array.from({ length: 60 }, (_, label) => member(label))))
      )
      const item = { a: Array.from({ length: 4 }, () => ({ x: 59, y: "y" })), b: 1 }
      let turns = 0
      let stopped = false
      const next = (): void => {
        turns++
        if (!stopped) setImmediate(next)
      }
      setImmediate(next)
      yield* makeOutputDecoder(spec)({}, JSON.stringify(Array.from({ length: 1_000 }, () => item)))
      stopped = true
      assert.isAtLeast(turns, 3)
    })
  )

  it.effect("a schema that calls itself has stack enough for the deepest output a spec may allow", () =>
    Effect.gen(function* () {
      const trees = makeSpec({
        name: "trees",
        modulePath: "/plugins/trees.ts",
        kind: makeKind({ name: "tree", method: "grow", input: Schema.Struct({}), output: Tree }),
        limits: { outputDepth: maxOutputDepth }
      })
      // A tree in a list is two levels.
      const text = `${'{"children":['.repeat(maxOutputDepth / 2)}${"]}".repeat(maxOutputDepth / 2)}`
      assert.deepStrictEqual(yield* makeOutputDecoder(trees)({}, text), JSON.parse(text))
    })
  )
})
