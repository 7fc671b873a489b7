/** What an operator's grants come to, on a real file system. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import {
  type IsolationLevel,
  checkRequests,
  resolveGrants,
  type ResolvedGrants
} from "../src/Capabilities.ts"
import {
  checkCapabilities,
  decodeCapabilities,
  type DeclaredCapabilities,
  grantsSnippet,
  missingCapabilities
} from "../src/capabilities/declared.ts"
import type { Grants } from "../src/Grants.ts"
import type { Host } from "../src/capabilities/matrix.ts"
import type { PrepareError } from "../src/PrepareError.ts"

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
write("*/words.txt")
write("stars/a*b/c/words.txt")
write("stars/notes*.txt")
link("stars/a*b", "to-star")
link("data", "star-*-named")
write("odd, names/--allow-fs-read=?[a]{b}\\ $(x) 'q' \"\n/words.txt")

const linux: Host = { platform: "linux", runtime: "node" }
const environment = { HOME: "/home/ana", EMPTY: "", AGENTLIP_TOKEN: "secret" }
const resolve = (grants: Grants, level: IsolationLevel = "thread", host = linux) =>
  resolveGrants({ level, grants, base, environment, host })

const refusal = (
  grants: Grants,
  level?: IsolationLevel,
  host?: Host
): Effect.Effect<string, ResolvedGrants> =>
  Effect.map(Effect.flip(resolve(grants, level, host)), ({ message }) => message)

/** Why a check fails; `undefined` if it does not. */
const reasonOf = (check: Result.Result<unknown, PrepareError>): string | undefined =>
  Result.isFailure(check) ? check.failure.message : undefined

/** What comes of grants of files alone. */
const files = (read: ReadonlyArray<string>, write: ReadonlyArray<string>): ResolvedGrants => ({
  read,
  write,
  net: [],
  env: {}
})

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
    ["a name that only begins like the hub's", "agentlip", `${at("agentlip")}/`],
    ["a link with an asterisk to a path without", "star-*-named", `${at("data")}/`],
    ["every character that is no asterisk", "odd, names", `${at("odd, names")}/`]
  ]
  it.effect.each(rows)("%s", ([, given, real]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* resolve({ read: [given] }), files([real], []))
      assert.deepStrictEqual(yield* resolve({ write: [given] }), files([], [real]))
    })
  )

  it.effect("none by default, and empty lists ask for nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* resolve({}), files([], []))
      assert.deepStrictEqual(yield* resolve({ read: [], net: [], env: [] }), files([], []))
    })
  )

  it.effect("relative paths are taken from the base", () =>
    Effect.gen(function* () {
      const grants = yield* resolveGrants({
        level: "thread",
        grants: { read: ["words.txt"] },
        base: at("data")
      })
      assert.deepStrictEqual(grants.read, [at("data/words.txt")])
    })
  )

  it.effect("hosts, understood", () =>
    Effect.gen(function* () {
      const { net } = yield* resolve({ net: ["api.example.com", "*.Example.org:8080"] })
      assert.deepStrictEqual(
        net.map((entry) => entry.type === "host" && [entry.host, entry.below, entry.port]),
        [
          ["api.example.com", false, 443],
          ["example.org", true, 8080]
        ]
      )
    })
  )

  it.effect("variables, with their values as they are; what is not set, or only inherited, is absent", () =>
    Effect.gen(function* () {
      const { env } = yield* resolve({ env: ["HOME", "EMPTY", "UNSET", "toString", "__proto__"] })
      assert.deepStrictEqual(Object.entries(env), [
        ["HOME", "/home/ana"],
        ["EMPTY", ""]
      ])
    })
  )

  it.effect("on isolation process and wasm: what they enforce", () =>
    Effect.gen(function* () {
      const everything = { read: ["data"], write: ["data"], net: ["a.example"], env: ["HOME"] }
      assert.strictEqual((yield* resolve(everything, "process")).env["HOME"], "/home/ana")
      const { net, env } = yield* resolve({ net: ["a.example"], env: ["HOME"] }, "wasm")
      assert.deepStrictEqual([net.length, env], [1, { HOME: "/home/ana" }])
    })
  )
})

/** The event loop's turns, and the processor time of the longest in milliseconds: other processes do not count. */
const watchTurns = () => {
  const used = (): number => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let count = 0
  let longest = 0
  let before = used()
  const look = (): void => {
    const now = used()
    longest = Math.max(longest, now - before)
    before = now
    count++
    next = setImmediate(look)
  }
  let next = setImmediate(look)
  return {
    stop: () => {
      look()
      clearImmediate(next)
      return { count, longest }
    }
  }
}

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
    ...(
      [
        ["a folder that is an asterisk", "*", ""],
        ["a folder below one with an asterisk", "stars/a*b/c", ""],
        ["a file with an asterisk", "stars/notes*.txt", ""],
        ["a link to an asterisk", "to-star", ` (it is ${at("stars/a*b")})`]
      ] as const
    ).map(
      ([name, given, where]) =>
        [
          name,
          { read: [given] },
          `grants.read "${given}" has an asterisk in its path${where}; Node reads it as a pattern, which also matches the files beside it; rename the folder or file`
        ] as const
    ),
    [
      "a pattern",
      { read: ["data/*.txt"] },
      `grants.read "data/*.txt" does not exist (looked at ${at("data/*.txt")}); name a folder: grants are not patterns`
    ],
    [
      "the hub's folder",
      { read: ["hub/.agentlip"] },
      'grants.read "hub/.agentlip" lies in .agentlip/, which no plugin may read; grant another folder'
    ],
    [
      "a file in it",
      { write: ["hub/.agentlip/server.json"] },
      'grants.write "hub/.agentlip/server.json" lies in .agentlip/, which no plugin may write; grant another folder'
    ],
    [
      "a folder in it",
      { read: ["hub/.agentlip/data"] },
      'grants.read "hub/.agentlip/data" lies in .agentlip/, which no plugin may read; grant another folder'
    ],
    [
      "the hub's folder in other letters",
      { read: ["shouting/.AgentLip"] },
      'grants.read "shouting/.AgentLip" lies in .agentlip/, which no plugin may read; grant another folder'
    ],
    [
      "the hub's folder by a link",
      { read: ["to-private"] },
      'grants.read "to-private" lies in .agentlip/, which no plugin may read; grant another folder'
    ],
    [
      "the hub's folder through a linked folder",
      { read: ["links/hub/server.json"] },
      'grants.read "links/hub/server.json" lies in .agentlip/, which no plugin may read; grant another folder'
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
      `grants.read "links" would cover ${at("hub/.agentlip")}: ${at("links/hub")} is a link to it; ${narrower("links")}`
    ],
    [
      "a folder with a link to the token",
      { read: ["linked-token"] },
      `grants.read "linked-token" would cover ${at("hub/.agentlip/server.json")}: ${at("linked-token/harmless.json")} is a link to it; ${narrower("linked-token")}`
    ],
    [
      "a folder with a link to the workspace",
      { write: ["linked-hub"] },
      `grants.write "linked-hub" would cover ${at("hub/.agentlip")}; ${narrower("linked-hub")}`
    ],
    [
      "everything",
      { read: ["/"] },
      `grants.read "/" covers the system's virtual files; name the folder that the plugin needs`
    ],
    [
      "every host",
      { net: ["*"] },
      'grants.net "*" would grant every host; name the hosts, as in "*.example.com"'
    ],
    [
      "a name that no variable has",
      { env: ["AWS_*"] },
      'grants.env "AWS_*" is not the name of a variable; name each variable by itself, as in "HOME"'
    ],
    [
      "a variable of the hub's",
      { env: ["AGENTLIP_TOKEN"] },
      'grants.env "AGENTLIP_TOKEN" belongs to the hub, and no plugin may see it; remove it'
    ],
    [
      "a variable of the hub's in other letters",
      { env: ["agentlip_token"] },
      'grants.env "agentlip_token" belongs to the hub, and no plugin may see it; remove it'
    ]
  ]
  it.effect.each(rows)("%s", ([, grants, problem]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* refusal(grants), problem)
    })
  )

  it.effect.each(["/proc", "/proc/self/environ", "/dev", "/dev/null", "/sys"].filter(fs.existsSync))(
    "the system's virtual files: %s",
    (given) =>
      Effect.gen(function* () {
        const problem = yield* refusal({ read: [given] })
        assert.match(problem, /covers the system's virtual files; name the folder that the plugin needs$/)
      })
  )

  it.effect.runIf(fs.existsSync("/proc/self"))("a folder with a link to them", () =>
    Effect.gen(function* () {
      const problem = yield* refusal({ read: ["linked-proc"] })
      assert.match(
        problem,
        /^grants\.read "linked-proc" would cover \/proc\/\d+: .* is a link to it; grant a narrower/
      )
    })
  )

  it.effect.each(["read", "write"] as const)(
    "files on isolation wasm, naming the levels that can: %s",
    (kind) =>
      Effect.gen(function* () {
        assert.strictEqual(
          yield* refusal({ [kind]: ["data"] }, "wasm"),
          `grants.${kind} cannot be enforced on isolation "wasm" (it has no files); use isolation "thread" or "process", or remove it`
        )
      })
  )

  it.effect.each(["read", "write", "net", "env"] as const)("on a thread of Bun: %s", (kind) =>
    Effect.gen(function* () {
      const given = { read: "data", write: "data", net: "a.example", env: "HOME" }[kind]
      const problem = yield* refusal({ [kind]: [given] }, "thread", { platform: "linux", runtime: "bun" })
      assert.match(problem, /^grants\.\w+ cannot be enforced on isolation "thread" \(not with Bun on Linux\)/)
      assert.include(problem, 'use isolation "process"')
    })
  )

  it.effect("every problem at once", () =>
    Effect.gen(function* () {
      const grants = { read: ["missing", "data", "hub"], write: ["/"], net: ["*"], env: ["1"] }
      const problems = (yield* refusal(grants)).split("; ")
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
        yield* refusal({ read: ["large"] }),
        'grants.read "large" has more than 10000 folders, too many to search for .agentlip/; grant a narrower path'
      )
    })
  )

  it.live("is searched without blocking the event loop, and the search ends when it is interrupted", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 9_800; n++) fs.mkdirSync(at(`wide/${n % 100}/${n}`), { recursive: true })
      const search = Effect.gen(function* () {
        const turns = watchTurns()
        yield* resolve({ read: ["wide"] })
        return turns.stop()
      })
      // A search that holds it up does so each time; a busy machine does not.
      const { count, longest } = yield* Effect.repeat(search, {
        until: ({ longest }) => longest < 50,
        times: 4
      })
      assert.isAbove(count, 100)
      assert.isBelow(longest, 50)

      const fiber = yield* Effect.forkChild(resolve({ read: ["wide"] }))
      yield* Effect.sleep("5 millis")
      const before = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - before, 2_000)
    })
  )
})

describe("Capabilities: other requests", () => {
  const cpu = { cpu: 100 }
  const integrity = "sha256-"
  const rows: ReadonlyArray<
    readonly [Parameters<typeof checkRequests>[0], Host, ReadonlyArray<string>, remedy: string]
  > = [
    [{ isolation: "thread", limits: cpu, integrity, enforcement: "audit" }, linux, [], ""],
    [{ isolation: "process", limits: cpu, integrity, sandbox: "bubblewrap" }, linux, [], ""],
    [{ isolation: "wasm", limits: cpu, integrity }, linux, [], ""],
    [{ isolation: "thread", sandbox: "auto", enforcement: "enforce", limits: {} }, linux, [], ""],
    [
      { isolation: "thread", sandbox: "bubblewrap" },
      linux,
      ['sandbox "bubblewrap"'],
      'use isolation "process", or remove it'
    ],
    [
      { isolation: "process", limits: cpu },
      { platform: "darwin", runtime: "node" },
      ["limits.cpu"],
      'use isolation "thread" or "wasm", or remove it'
    ],
    [
      { isolation: "process", sandbox: "bubblewrap" },
      { platform: "darwin", runtime: "node" },
      ['sandbox "bubblewrap"'],
      "; remove it"
    ],
    [
      { isolation: "thread", limits: cpu, integrity, enforcement: "audit" },
      { platform: "linux", runtime: "bun" },
      ['enforcement "audit"', "integrity", "limits.cpu"],
      "not with Bun on Linux"
    ]
  ]
  it.each(rows)("%j on %j: %j", (spec, host, subjects, remedy) => {
    const problem = reasonOf(checkRequests(spec, host))
    assert.deepStrictEqual(
      problem?.match(/[^;()]+(?= cannot be enforced)/g)?.map((text) => text.trim()) ?? [],
      subjects
    )
    assert.include(problem ?? "", remedy)
  })
})

describe("Capabilities: what a plugin declares", () => {
  const rows: ReadonlyArray<readonly [DeclaredCapabilities, Grants, Grants | undefined]> = [
    [{}, {}, undefined],
    [{ read: [], net: [] }, {}, undefined],
    [{ read: ["data"] }, { read: ["./data/"] }, undefined],
    [{ read: ["./data/words"] }, { read: [at("data")] }, undefined],
    [{ read: [at("data")] }, { read: ["."] }, undefined],
    [{ read: ["data"] }, { read: ["data/words"] }, { read: ["data"] }],
    [{ read: ["data/../secret"] }, { read: ["data"] }, { read: ["data/../secret"] }],
    [{ read: ["database"] }, { read: ["data"] }, { read: ["database"] }],
    [{ write: ["data"] }, { read: ["data"] }, { write: ["data"] }],
    [{ net: ["a.example"] }, { net: ["*.example", "b.example"] }, undefined],
    [{ net: ["a.example", "a.example:80"] }, { net: ["a.example"] }, { net: ["a.example:80"] }],
    [{ net: ["*.example"] }, { net: ["a.example"] }, { net: ["*.example"] }],
    [{ env: ["HOME", "PATH"] }, { env: ["HOME"] }, { env: ["PATH"] }],
    [{ env: ["home"] }, { env: ["HOME"] }, { env: ["home"] }]
  ]
  it.each(rows)("%j with %j misses %j", (declared, granted, missing) => {
    assert.deepStrictEqual(missingCapabilities(declared, granted, base), missing)
    assert.strictEqual(
      reasonOf(checkCapabilities(declared, granted, base)) === undefined,
      missing === undefined
    )
  })

  it("the line for the config grants everything that is granted or missing", () => {
    const granted = { read: [at("data")], env: ["HOME"] }
    const declared = { read: ["lists", "/srv/lists"], net: ["api.github.com:443"], env: ["HOME", "LANG"] }
    const missing = missingCapabilities(declared, granted, base) ?? {}
    const line = grantsSnippet(granted, missing, base)
    assert.strictEqual(
      line,
      'grants: { read: ["./data","./lists","/srv/lists"], net: ["api.github.com:443"], env: ["HOME","LANG"] }'
    )
    const { grants } = new Function(`return { ${line} }`)()
    assert.isUndefined(missingCapabilities(declared, grants, base))
    const refused = checkCapabilities(declared, granted, base)
    assert.deepStrictEqual(Result.isFailure(refused) && refused.failure.missingGrants, missing)
    assert.strictEqual(
      reasonOf(refused),
      `it declares capabilities that are not granted: read lists, /srv/lists; net api.github.com:443; env LANG. To grant them, write in its entry of the config file:\n  ${line}`
    )
  })

  it("an entry that cannot be granted is the plugin's mistake", () => {
    assert.strictEqual(
      reasonOf(checkCapabilities({ net: ["*"] }, {}, base)),
      'its capabilities.net "*" would grant every host; name the hosts, as in "*.example.com"'
    )
  })

  const reported: ReadonlyArray<readonly [string, unknown, DeclaredCapabilities | undefined]> = [
    ["lists", { net: ["a.example"], read: [] }, { net: ["a.example"], read: [] }],
    ["nothing", {}, {}],
    ["null", null, undefined],
    ["a text", "net", undefined],
    ["an unknown key", { network: ["a.example"] }, undefined],
    ["a text for a list", { net: "a.example" }, undefined],
    ["a list of others", { env: [1] }, undefined],
    ["too many", { env: Array.from({ length: 101 }, (_, index) => `E${index}`) }, undefined],
    ["too long", { read: ["a".repeat(1_001)] }, undefined]
  ]
  it.each(reported)("reported as %s", (_, value, decoded) => {
    const result = decodeCapabilities(value)
    assert.deepStrictEqual(Result.isSuccess(result) ? result.success : undefined, decoded)
    if (Result.isFailure(result)) assert.isBelow(result.failure.message.length, 500)
  })
})
