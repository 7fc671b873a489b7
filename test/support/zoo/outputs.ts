/** Rogues whose answers are none. */
import { files, hanging, type Harm, type Rogue } from "./rogue.ts"

const badValues: ReadonlyArray<string> = [
  "undefined",
  "null",
  "number",
  "string",
  "object",
  "function",
  "symbol",
  "promises",
  "start after end",
  "empty span",
  "negative start",
  "end past the message",
  "huge end",
  "float start",
  "NaN start",
  "infinite end",
  "text span",
  "null span",
  "no span",
  "blank kind",
  "number kind",
  "no kind",
  "array data",
  "null data",
  "text data",
  "date data",
  "item null",
  "item array",
  "item date",
  "sparse array",
  "1001 items",
  "over 1 MiB",
  "over 1 MiB once escaped",
  "65 levels",
  "100,000 levels",
  "__proto__ key",
  "__proto__ key deep down",
  "__proto__ item",
  "toJSON of another shape",
  "raw JSON",
  "raw 1e999",
  "raw -1e999 deep down",
  "raw number of 400 digits",
  "lone surrogate",
  "lone surrogate in a kind",
  "lone surrogate in a key",
  "lone surrogate in raw JSON",
  "surrogates the wrong way round",
  "U+0000 in a text",
  "U+0000 in a kind",
  "U+0000 in a key"
] // prettier-ignore
// JSON itself cannot write these: a bare host would have to live with the error, or without an answer.
const unwritable = [
  "bigint",
  "bigint inside",
  "cyclic",
  "throwing getter",
  "throwing toJSON",
  "revoked proxy"
]
const goodValues = [
  "constructor keys",
  "getter",
  "toJSON of the right shape",
  "a pair of surrogates",
  "raw -0",
  "excess keys",
  "a proxy of a list",
  "null prototype",
  "60 levels",
  "1,000 items"
] // prettier-ignore

const value = (what: string, expect: Rogue["expect"], harm: Harm): Rogue => ({
  name: `output: ${what}`,
  file: "output-values.ts",
  ask: what,
  expect,
  harm
})

export const outputs: ReadonlyArray<Rogue> = [
  ...badValues.map((what) => value(what, "INVALID_OUTPUT", "lies")),
  ...unwritable.map((what) => value(what, "INVALID_OUTPUT", "dies")),
  // A bare host that writes it as JSON gets an empty object, silently.
  value("map as data", "INVALID_OUTPUT", { none: "JSON loses it, without a word" }),
  ...goodValues.map((what) => value(what, "OK", { none: "odd, and right" })),
  {
    ...value("array of 2^32-1", ["TIMEOUT", "WORKER_CRASH", "INVALID_OUTPUT"], "dies"),
    timeout: hanging,
    ownHost: true
  },
  ...files(
    "ts",
    { expect: ["INVALID_OUTPUT", "WORKER_CRASH", "TIMEOUT"], timeout: 2000, ownHost: true, harm: "hangs" },
    ["output-bomb"]
  ),
  ...files("ts", { expect: "OK", harm: { none: "JSON looks once" } }, ["output-shifting-getter"]),
  ...files("ts", { expect: "OK", harm: { none: "JSON copies" } }, ["output-shared-memory"])
]
