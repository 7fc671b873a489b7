/** Rogues that were granted files, and reach for those beside them. */
import { files, type Rogue } from "./rogue.ts"

const noFiles: Rogue["on"] = { wasm: { expect: "LOAD_ERROR", says: /grants\.(read|write)/ } }

/** Grants below the world's `granted` folder. */
const granted =
  (read: ReadonlyArray<string>, write: ReadonlyArray<string> = []): NonNullable<Rogue["grants"]> =>
  ({ plugins }) => {
    const at = (name: string): string => `${plugins}/../granted/${name}`
    return { read: read.map(at), write: write.map(at) }
  }

const asterisk = { expect: "LOAD_ERROR", says: /asterisk|isolation "wasm"/, harm: "reaches" } as const

export const grants: ReadonlyArray<Rogue> = [
  ...["*", "a*", "a*b", "notes*.json", "*/inner"].map(
    (path): Rogue => ({
      name: `grant-asterisk: ${path}`,
      file: "grant-asterisk.ts",
      grants: granted([path]),
      ...asterisk
    })
  ),
  {
    name: "grant-asterisk: a link to one",
    file: "grant-asterisk.ts",
    grants: granted(["linked-asterisk"]),
    ...asterisk
  },
  ...files("ts", { ...asterisk, grants: granted([], ["w*"]), harm: "plants" }, ["grant-asterisk-write"]),
  ...files("ts", { expect: "OK", grants: granted(["a", "abc/d"]), on: noFiles, harm: "reaches" }, [
    "grant-siblings"
  ]),
  ...files("ts", { expect: "OK", grants: granted(["a"]), on: noFiles, harm: "reaches" }, ["grant-spellings"]),
  ...files(
    "ts",
    { expect: "OK", grants: granted(["north-1", "north-2", "north-11"]), on: noFiles, harm: "reaches" },
    ["grant-forks"]
  ),
  ...files("ts", { expect: "OK", grants: granted(["w"], ["w"]), on: noFiles, harm: "plants" }, [
    "grant-siblings-write"
  ]),
  ...files("ts", { expect: "OK", grants: granted(["w"], ["w"]), on: noFiles, harm: "reaches" }, [
    "grant-swap"
  ])
]
