/** Whatever text a plugin answers with: a value of its kind or INVALID_OUTPUT, and a host that is as it was. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Schema } from "effect"
import { InvalidOutput } from "../../src/Errors.ts"
import { type JsonSize, jsonSize } from "../../src/jsonSize.ts"
import { makeOutputDecoder } from "../../src/Output.ts"
import { type Limits, makeSpec } from "../../src/Plugin.ts"
import { type AnyKind, extractor, linkifier, makeKind } from "../../src/PluginKinds.ts"
import {
  lineText,
  pathText,
  printable,
  printableJson,
  printableLine,
  shortened,
  shown
} from "../../src/text.ts"
import { messageOf } from "../fixtures/library/message.ts"
import { census } from "../support/prototypes.ts"

interface Tree {
  readonly [key: string]: Tree | string
}
const Tree: Schema.Codec<Tree> = Schema.Record(
  Schema.String,
  Schema.Union([Schema.String, Schema.suspend(() => Tree)])
)
const own = (output: Schema.Codec<unknown, unknown>): AnyKind =>
  makeKind({ name: "own", method: "own", input: Schema.Struct({}), output })

/** The shipped kinds, and such as a hub's author may make. */
const kinds: { readonly [name: string]: AnyKind } = {
  linkifier,
  extractor,
  tree: own(Tree),
  json: own(Schema.Json),
  all: own(
    Schema.Array(
      Schema.Struct({ kind: Schema.NonEmptyString, data: Schema.Record(Schema.String, Schema.Int) })
    ).annotate({ parseOptions: { errors: "all" } })
  )
}

const limits: Partial<Limits> = { outputItems: 120, outputValues: 400, outputDepth: 12, outputLength: 6_000 }
const specs = Object.values(kinds).map((kind) => makeSpec({ name: "p", kind, modulePath: "/p.ts", limits }))
const input = { message: messageOf("0123456789") }

const untouched = census()

/** Whether a value is made of plain objects and lists alone, and nothing in it could become a prototype. */
const isPlain = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== (Array.isArray(value) ? Array.prototype : Object.prototype)) return false
  return !Object.hasOwn(value, "__proto__") && Object.values(value).every(isPlain)
}

/** Judges a text by every kind. */
const assertJudged = (text: string) =>
  Effect.gen(function* () {
    for (const spec of specs) {
      const exit = yield* Effect.exit(makeOutputDecoder(spec)(input, text))
      if (Exit.isSuccess(exit)) {
        assert.isTrue(Schema.is(spec.kind.output)(exit.value), text)
        assert.isTrue(isPlain(exit.value), text)
        continue
      }
      const error = yield* Effect.flip(exit)
      assert.instanceOf(error, InvalidOutput)
      assert.match(error.issue, /expected .+, got /)
      assert.isAtMost(error.issue.length, 8_000)
      assert.notMatch(error.issue, /[\p{C}\p{Zl}\p{Zp}]/u)
    }
    assert.strictEqual(census(), untouched)
  })

/** The keys that plugins with bad intentions use, and those of the shipped kinds. */
const keys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "then",
  "toJSON",
  "length",
  "0",
  "",
  "\u202e\n\u0000",
  "\ud800",
  "k".repeat(80),
  "kind",
  "span",
  "start",
  "end",
  "data",
  "key",
  "value_json"
]
/** As JSON, or the same key spelled so that no search for its text finds it. */
const keyText = Arbitrary.map(
  Arbitrary.all({ key: Arbitrary.schema(Schema.Literals(keys)), spelled: Arbitrary.schema(Schema.Boolean) }),
  ({ key, spelled }) => {
    if (!spelled) return JSON.stringify(key)
    const escapes = Array.from({ length: key.length }, (_, at) =>
      key.charCodeAt(at).toString(16).padStart(4, "0")
    )
    return `"${escapes.map((escape) => `\\u${escape}`).join("")}"`
  }
)
const scalar = Arbitrary.schema(
  Schema.Literals([
    "0",
    "-0",
    "1",
    "1e400",
    "-1E-400",
    "0.1",
    "9".repeat(400),
    "true",
    "null",
    '""',
    '"k"',
    '"\\ud800"',
    '"\ud800"',
    '"\\u202e"'
  ])
)

const separated = (open: string, parts: ReadonlyArray<string>, close: string): string =>
  `${open}${parts.join(",")}${close}`

/** JSON texts of hostile keys and values, some keys twice, nested up to `levels` deep. */
const jsonText = (levels: number): Arbitrary.Arbitrary<string> => {
  if (levels === 0) return scalar
  const inner = jsonText(levels - 1)
  return Arbitrary.flatMap(Arbitrary.schema(Schema.Literals(["scalar", "list", "object"])), (what) => {
    if (what === "scalar") return scalar
    if (what === "list") {
      return Arbitrary.map(Arbitrary.array(inner, { maxLength: 4 }), (items) => separated("[", items, "]"))
    }
    const field = Arbitrary.map(
      Arbitrary.all({ key: keyText, value: inner }),
      ({ key, value }) => `${key}: ${value}`
    )
    return Arbitrary.map(Arbitrary.array(field, { maxLength: 4 }), (fields) => separated("{", fields, "}"))
  })
}

const text = jsonText(4)
const count = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

describe("Whatever a plugin's text", () => {
  it.effect.prop("hostile keys and values", { text }, ({ text }) => assertJudged(text), {
    arbitrary: { runs: 500 }
  })

  it.effect.prop(
    "hostile fields of a list of nearly right items",
    {
      text,
      field: Arbitrary.schema(Schema.Literals(["kind", "span", "data", "value_json", "key", "__proto__"]))
    },
    ({ text, field }) =>
      assertJudged(`[{"kind":"k","span":{"start":0,"end":1},"data":{},"value_json":{},"${field}":${text}}]`),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "truncated",
    { text, at: count(0, 400) },
    ({ text, at }) => assertJudged(text.slice(0, at)),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "with a code unit changed",
    { text, at: count(0, 400), unit: count(0, 0xffff) },
    ({ text, at, unit }) => assertJudged(text.slice(0, at) + String.fromCharCode(unit) + text.slice(at + 1)),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "nested about as deeply as is allowed, or far more",
    { levels: count(0, 30), list: Arbitrary.schema(Schema.Boolean), closed: count(-2, 2) },
    ({ levels, list, closed }) => {
      const [open, close] = list ? ["[", "]"] : ['{"__proto__x":', "}"]
      return assertJudged(`${open.repeat(levels)}0${close.repeat(Math.max(levels + closed, 0))}`)
    },
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop(
    "many items, values and characters, below and above the limits",
    { text: jsonText(1), many: count(0, 500), within: Arbitrary.schema(Schema.Boolean) },
    ({ text, many, within }) => {
      const list = separated("[", Array<string>(many).fill(text), "]")
      return assertJudged(within ? `[{"kind":"k","value_json":{"x":${list}}}]` : list)
    },
    { arbitrary: { runs: 200 } }
  )
})

/** What `jsonSize` foretells, counted on the parsed value. */
const sizeOf = (value: unknown): JsonSize => {
  if (typeof value !== "object" || value === null) return { values: 1, items: 0, depth: 0 }
  const inner = Object.values(value).map(sizeOf)
  return {
    items: inner.length,
    values: inner.reduce((sum, { values }) => sum + values, 1),
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth))
  }
}
const unlimited = { values: Number.POSITIVE_INFINITY, depth: Number.POSITIVE_INFINITY }

describe("The size of a JSON text", () => {
  it.effect.prop(
    "is that of the value, however it is spaced",
    { json: Schema.Json, indent: count(0, 4) },
    ({ json, indent }) =>
      Effect.sync(() => {
        assert.deepStrictEqual(jsonSize(JSON.stringify(json, undefined, indent), unlimited), sizeOf(json))
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "is never less than that of the value, also where keys come twice",
    { text },
    ({ text }) =>
      Effect.sync(() => {
        const told = jsonSize(text, unlimited)
        const { values, depth } = sizeOf(JSON.parse(text))
        assert.isAtLeast(told.values, values)
        assert.isAtLeast(told.depth, depth)
      }),
    { arbitrary: { runs: 500 } }
  )

  it("is not looked for any further once it is past the limit", () => {
    assert.deepStrictEqual(jsonSize("[".repeat(1_000_000), { values: 10, depth: 5 }), {
      values: 6,
      items: 1,
      depth: 6
    })
    assert.strictEqual(jsonSize(`[${"0,".repeat(1_000_000)}`, { values: 10, depth: 5 }).values, 11)
  })
})

describe("Texts for people", () => {
  it.effect.prop(
    "hold nothing that cannot be seen",
    { text: Schema.String, units: Arbitrary.array(count(0, 0xffff), { maxLength: 20 }) },
    ({ text, units }) =>
      Effect.sync(() => {
        const any = text + String.fromCharCode(...units)
        assert.notMatch(printableLine(any), /[\p{C}\p{Zl}\p{Zp}]/u)
        assert.notMatch(printable(any).replaceAll(/[\n\t]/g, ""), /[\p{C}\p{Zl}\p{Zp}]/u)
        assert.isAtMost(printableLine(shown(any)).length, 10 * 64)
      }),
    { arbitrary: { runs: 500 } }
  )

  const rows: ReadonlyArray<readonly [string, string]> = [
    ["a\r\nb\tc", "a\\u000d\nb\tc"],
    ["\u001b[31mred\u009b0m", "\\u001b[31mred\\u009b0m"],
    ["\u202egpj.exe\u2066\u200f", "\\u202egpj.exe\\u2066\\u200f"],
    ["soft\u00adhyphen, zero\u200bwidth, \ufeff", "soft\\u00adhyphen, zero\\u200bwidth, \\ufeff"],
    ["tag \u{e0041}, half \ud83d", "tag \\u{e0041}, half \\ud83d"],
    ["日本 🙂 é e\u0301", "日本 🙂 é e\u0301"],
    [
      "👩🏽\u200d💻 👨\u200d👩\u200d👧 ❤️\u200d🔥 a\u200db \u200d👧",
      "👩🏽\u200d💻 👨\u200d👩\u200d👧 ❤️\u200d🔥 a\\u200db \\u200d👧"
    ],
    ["\u061c\u200b\u2060\u2069\ufeff\u{e007f}", "\\u061c\\u200b\\u2060\\u2069\\ufeff\\u{e007f}"]
  ]
  it.each(rows)("%j", (given, expected) => {
    assert.strictEqual(printable(given), expected)
  })

  it("contain no invisible characters; JSON keeps its meaning", () => {
    const named = [
      [0x0, 0x1f],
      [0x7f, 0x9f],
      [0x61c, 0x61c],
      [0x200b, 0x200f],
      [0x2028, 0x202e],
      [0x2060, 0x206f],
      [0xd800, 0xdfff],
      [0xfeff, 0xfeff],
      [0xe0000, 0xe007f]
    ] as const
    const wrong: Array<string> = []
    for (let code = 0; code <= 0x10ffff; code++) {
      const character = String.fromCodePoint(code)
      const isNamed = named.some(([first, last]) => first <= code && code <= last)
      const isHidden = isNamed || /[\p{C}\p{Zl}\p{Zp}]/u.test(character)
      const stays = character === "\n" || character === "\t"
      const json = printableJson(JSON.stringify(character))
      const isRight =
        printableLine(character).includes(character) === !isHidden &&
        printable(character).includes(character) === (!isHidden || stays) &&
        !(isHidden && json.includes(character)) &&
        JSON.parse(json) === character
      if (!isRight) wrong.push(code.toString(16))
    }
    assert.deepStrictEqual(wrong, [])
  })

  it("are one line, or further lines below the first", () => {
    assert.strictEqual(printableLine("a\r\nb\nc\td\re"), "a⏎b⏎c d\\u000de")
    assert.strictEqual(printableJson('{"a":1,\r\n\t"b":"\\n\u{e0041}"}'), '{"a":1, "b":"\\n\\udb40\\udc41"}')
  })

  it("say where and what, shortly", () => {
    assert.strictEqual(pathText(["a", 0, "b-c", "", "d"]), 'a[0]["b-c"][""].d')
    assert.strictEqual(shown([1, 2]), "an array of 2")
    assert.strictEqual(shortened("abcd", 4), "abcd")
    assert.strictEqual(shortened("abcde", 4), "abc…")
    assert.strictEqual(shortened("ab🙂de", 4), "ab…")
    assert.strictEqual(lineText("\u0000".repeat(4_096)).length, 1_000)
  })
})
