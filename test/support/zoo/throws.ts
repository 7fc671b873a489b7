/** Rogues that throw what cannot be described. */
import { files, type Rogue } from "./rogue.ts"

const thrownThings: ReadonlyArray<string> = [
  "error",
  "null",
  "undefined",
  "number",
  "nan",
  "string",
  "symbol",
  "bigint",
  "function",
  "array",
  "null prototype",
  "proxy",
  "revoked proxy",
  "throwing getters",
  "hostile error",
  "frozen error",
  "huge message",
  "huge name",
  "huge stack",
  "control characters",
  "lone surrogate",
  "error with a cause that loops",
  "aggregate",
  "lying error",
  "a thenable"
] // prettier-ignore

/** More than most plugins may have; where its memory ends first, that is what is said. */
const immense: ReadonlyArray<string> = [
  "immense message",
  "immense name",
  "immense stack",
  "immense lines",
  "immense string",
  "immense array",
  "immense getters",
  "immense cause",
  "long chain of causes"
]

const harmlessThrow = { none: "what is shown is that it can be described at all" }
export const throws: ReadonlyArray<Rogue> = [
  ...thrownThings.flatMap(
    (what): Array<Rogue> => [
      {
        name: `throws: ${what}`,
        file: "throws.ts",
        ask: what,
        expect: "EXECUTION_ERROR",
        harm: harmlessThrow
      },
      {
        name: `rejects: ${what}`,
        file: "throws.ts",
        ask: `reject ${what}`,
        expect: "EXECUTION_ERROR",
        harm: harmlessThrow
      }
    ]
  ),
  ...immense.flatMap((what) =>
    [what, `reject ${what}`].map(
      (ask): Rogue => ({
        name: `throws: ${ask}`,
        file: "throws.ts",
        ask,
        expect: ["EXECUTION_ERROR", "WORKER_CRASH"],
        // On the thread level memory is seen late: its host may come to its own end.
        ownHost: true,
        harm: harmlessThrow
      })
    )
  ),
  ...files("ts", { expect: "EXECUTION_ERROR", harm: harmlessThrow }, ["throws-after-patching-error"])
]
