/** What an operator's grants come to, on a real file system. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import { type Grants, type IsolationLevel, resolveGrants } from "../src/Capabilities.ts"

const base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-grants-")))
afterAll(() => fs.rmSync(base, { recursive: true }))
const at = (file: string): string => path.join(base, file)
const write = (file: string): void => {
  fs.mkdirSync(path.dirname(at(file)), { recursive: true })
  fs.writeFileSync(at(file), "")
}
const link = (target: string, file: string): void => {
  fs.mkdirSync(path.dirname(at(file)), { recursive: true })
  fs.symlinkSync(target, at(file))
}

write("data/words.txt")
write("data/deep/er/words.txt")
write("agentlip/.agentliprc")
write("hub/.agentlip/server.json")
write("hub/.agentlip/data/hub.db")
write("hub/data/words.txt")
write("outer/hub/.agentlip/server.json")
write("far/a/b/c/node_modules/d/.agentlip/server.json")
write("shouting/.AgentLip/server.json")
write("private-file/.agentlip")
link("../hub/.agentlip", "links/hub")
link("../hub", "linked-hub/workspace")
link("../hub/.agentlip/server.json", "linked-token/harmless.json")
link("/proc/self", "linked-proc/me")
link("../round", "round/again")
link("nowhere", "dangling/link")
link("../data", "linked-data/words")
link("hub/.agentlip", "to-private")
link("data", "to-data")

const resolve = (grants: Grants, level: IsolationLevel = "thread") => resolveGrants(level, grants, base)

describe("Capabilities: grants that are given", () => {
  const rows: ReadonlyArray<readonly [string, string, string]> = [
    ["a folder, marked as one", "data", `${at("data")}/`],
    ["a folder with a slash", "data/", `${at("data")}/`],
    ["a file, alone", "data/words.txt", at("data/words.txt")],
    ["an absolute path", at("data"), `${at("data")}/`],
    ["a path with detours", "data/../data/./deep", `${at("data/deep")}/`],
    ["a folder beside the hub's", "hub/data", `${at("hub/data")}/`],
    ["a link, as what it stands for", "to-data", `${at("data")}/`],
    ["a folder with links to other folders", "linked-data", `${at("linked-data")}/`],
    ["a folder that links to itself", "round", `${at("round")}/`],
    ["a folder with a link to nothing", "dangling", `${at("dangling")}/`],
    ["a name that only begins like the hub's", "agentlip", `${at("agentlip")}/`]
  ]
  it.effect.each(rows)("%s", ([, given, real]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* resolve({ read: [given] }), { read: [real], write: [] })
      assert.deepStrictEqual(yield* resolve({ write: [given] }), { read: [], write: [real] })
    })
  )

  it.effect("none by default, and empty lists ask for nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* resolve({}), { read: [], write: [] })
      assert.deepStrictEqual(yield* resolve({ read: [], net: [], env: [] }), { read: [], write: [] })
    })
  )

  it.effect("relative paths are taken from the base", () =>
    Effect.gen(function* () {
      const grants = yield* resolveGrants("thread", { read: ["words.txt"] }, at("data"))
      assert.deepStrictEqual(grants.read, [at("data/words.txt")])
    })
  )
})

describe("Capabilities: grants that are refused", () => {
  const narrower = (given: string) => `grant a narrower path, for example "${given}/data"`
  const rows: ReadonlyArray<readonly [string, Grants, string]> = [
    [
      "a path that does not exist",
      { read: ["missing"] },
      `grants.read "missing" does not exist (looked at ${at("missing")}); create it first or correct the path`
    ],
    [
      "a link to nothing",
      { write: ["dangling/link"] },
      `grants.write "dangling/link" does not exist (looked at ${at("dangling/link")}); create it first or correct the path`
    ],
    [
      "the hub's folder",
      { read: ["hub/.agentlip"] },
      'grants.read "hub/.agentlip" lies in .agentlip/, which no plugin may read'
    ],
    [
      "a file in it",
      { write: ["hub/.agentlip/server.json"] },
      'grants.write "hub/.agentlip/server.json" lies in .agentlip/, which no plugin may write'
    ],
    [
      "a folder in it",
      { read: ["hub/.agentlip/data"] },
      'grants.read "hub/.agentlip/data" lies in .agentlip/, which no plugin may read'
    ],
    [
      "the hub's folder in other letters",
      { read: ["shouting/.AgentLip"] },
      'grants.read "shouting/.AgentLip" lies in .agentlip/, which no plugin may read'
    ],
    [
      "the hub's folder by a link",
      { read: ["to-private"] },
      'grants.read "to-private" lies in .agentlip/, which no plugin may read'
    ],
    [
      "the hub's folder through a linked folder",
      { read: ["links/hub/server.json"] },
      'grants.read "links/hub/server.json" lies in .agentlip/, which no plugin may read'
    ],
    [
      "the workspace",
      { read: ["hub"] },
      `grants.read "hub" would cover ${at("hub/.agentlip")}; ${narrower("hub")}`
    ],
    [
      "the folder above the workspace",
      { write: ["outer"] },
      `grants.write "outer" would cover ${at("outer/hub/.agentlip")}; ${narrower("outer")}`
    ],
    [
      "a workspace far below",
      { read: ["far"] },
      `grants.read "far" would cover ${at("far/a/b/c/node_modules/d/.agentlip")}; ${narrower("far")}`
    ],
    [
      "a workspace in other letters",
      { read: ["shouting"] },
      `grants.read "shouting" would cover ${at("shouting/.AgentLip")}; ${narrower("shouting")}`
    ],
    [
      "a file of the hub's folder's name",
      { read: ["private-file"] },
      `grants.read "private-file" would cover ${at("private-file/.agentlip")}; ${narrower("private-file")}`
    ],
    [
      "a folder with a link to the hub's",
      { read: ["links"] },
      `grants.read "links" would cover ${at("hub/.agentlip")}, which ${at("links/hub")} is a link to; ${narrower("links")}`
    ],
    [
      "a folder with a link to the token",
      { read: ["linked-token"] },
      `grants.read "linked-token" would cover ${at("hub/.agentlip/server.json")}, which ${at("linked-token/harmless.json")} is a link to; ${narrower("linked-token")}`
    ],
    [
      "a folder with a link to the workspace",
      { write: ["linked-hub"] },
      `grants.write "linked-hub" would cover ${at("hub/.agentlip")}; ${narrower("linked-hub")}`
    ],
    [
      "everything",
      { read: ["/"] },
      `grants.read "/" covers the system's virtual files; name the folder the plugin needs`
    ],
    [
      "network",
      { net: ["api.github.com:443"] },
      'grants.net cannot be enforced on isolation "thread" in this version; remove it'
    ],
    [
      "environment",
      { env: ["HOME"] },
      'grants.env cannot be enforced on isolation "thread" in this version; remove it'
    ]
  ]
  it.effect.each(rows)("%s", ([, grants, problem]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(resolve(grants)), problem)
    })
  )

  it.effect.each(["/proc", "/proc/self/environ", "/dev", "/dev/null", "/sys"].filter(fs.existsSync))(
    "the system's virtual files: %s",
    (given) =>
      Effect.gen(function* () {
        const problem = yield* Effect.flip(resolve({ read: [given] }))
        assert.match(problem, /covers the system's virtual files; name the folder the plugin needs$/)
      })
  )

  it.effect.runIf(fs.existsSync("/proc/self"))("a folder with a link to them", () =>
    Effect.gen(function* () {
      const problem = yield* Effect.flip(resolve({ read: ["linked-proc"] }))
      assert.match(
        problem,
        /^grants\.read "linked-proc" would cover \/proc\/\d+, which .* is a link to; grant a narrower/
      )
    })
  )

  it.effect.each(["process", "wasm"] as const)("isolation %s, naming the one there is", (level) =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* Effect.flip(resolve({}, level)),
        `isolation "${level}" is not available in this version; available: "thread"`
      )
    })
  )

  it.effect("every problem at once", () =>
    Effect.gen(function* () {
      const grants = { read: ["missing", "data", "hub"], write: ["/"], net: ["*"], env: ["PATH"] }
      const problems = (yield* Effect.flip(resolve(grants))).split("; ")
      for (const part of ['read "missing"', 'read "hub"', 'write "/"', "grants.net", "grants.env"]) {
        assert.strictEqual(problems.filter((problem) => problem.includes(part)).length, 1, part)
      }
      assert.isFalse(problems.some((problem) => problem.includes('read "data"')))
    })
  )

  it.effect("a folder too large to be searched", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 10_001; n++) fs.mkdirSync(at(`large/${n}`), { recursive: true })
      assert.include(
        yield* Effect.flip(resolve({ read: ["large"] })),
        'grants.read "large" has more than 10000 folders, too many to search for .agentlip/; grant a narrower path'
      )
    })
  )
})
