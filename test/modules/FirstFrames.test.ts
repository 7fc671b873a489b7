/** The modules that a guest gets first: without a loader thread as long as nothing has changed that led to them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import type { PostedFrame } from "../../src/guest/node/threadLine.ts"
import { moduleIntegrity } from "../../src/index.ts"
import { FirstFrames } from "../../src/modules/FirstFrames.ts"
import { GuestModules } from "../../src/modules/GuestModules.ts"
import { KeptVersions } from "../../src/modules/KeptVersions.ts"
import { KnownRequests } from "../../src/modules/KnownRequests.ts"
import { LoaderPool } from "../../src/modules/LoaderPool.ts"
import type { Done } from "../../src/modules/LoaderThread.ts"
import type { LoaderJob, PluginModules } from "../../src/modules/loaderMessages.ts"
import { temporary, write } from "../support/plugins.ts"

interface LoadOptions {
  /** What the guest asks for after its first frame. */
  readonly requests?: ReadonlyArray<object>
  /** Called after the first frame. */
  readonly meanwhile?: () => void
  /** Whether the plugin keeps its last good version. Default: false. */
  readonly keep?: boolean
}

/** Loads plugins, and counts what loader threads do for that. */
const loading = Effect.gen(function* () {
  let jobs: Array<string> = []
  let compared: ReadonlyArray<string> = []
  class CountingPool extends LoaderPool {
    override submit(key: string, job: LoaderJob, done: Done): () => void {
      jobs.push(job.type)
      return super.submit(key, job, (result) => {
        if (result.type === "given" && job.type === "load") compared = [...(result.searched?.keys() ?? [])]
        done(result)
      })
    }
  }
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new CountingPool()),
    (pool) => Effect.promise(() => pool.close())
  )
  yield* Effect.promise(() => pool.start())
  const shared = { pool, known: new KnownRequests(), frames: new FirstFrames(), kept: new KeptVersions() }
  let guests = 0
  return {
    /**
     * What a new guest gets first, then the answer to each of its `requests`, the jobs of loader threads, and the paths
     * that are compared for the next guest.
     */
    load: (plugin: PluginModules, { requests = [], meanwhile = () => {}, keep = false }: LoadOptions = {}) =>
      Effect.promise(async () => {
        jobs = []
        compared = []
        const guest = new GuestModules({ guest: guests++, plugin, ...shared, keep })
        const frames: Array<string> = []
        let sent: (frame: PostedFrame) => void = () => {}
        let next = new Promise<PostedFrame>((resolve) => (sent = resolve))
        const ask = guest.serve({ send: (frame) => sent(frame), broken: assert.fail })
        const took = async (): Promise<void> => {
          const { head, body } = await next
          next = new Promise((resolve) => (sent = resolve))
          frames.push(head + Buffer.from(body).toString())
          // Its receiver may do with it what it wants.
          body.fill(0)
        }
        // For the entry, which is sent without a request.
        ask("")
        await took()
        meanwhile()
        for (const request of requests) {
          ask(JSON.stringify(request))
          await took()
        }
        guest.close()
        return { frames, first: frames[0] ?? "", jobs, compared, guest }
      })
  }
})

/** Waits until all files below a folder are old enough: times of files are coarse. */
const settled = (folder: string) =>
  Effect.promise(async () => {
    const files = fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    const newest = Math.max(...files.map((file) => fs.lstatSync(path.join(folder, file)).ctimeMs))
    while (Date.now() < newest + 150) await sleep(10)
  })

/** In seconds. */
const modified = 1_600_000_000

/** In place, and with the modification time that it had. */
const edit = (file: string, text: string): void => {
  write(file, text)
  fs.utimesSync(file, modified, modified)
}

const link = (target: string, file: string): void => {
  fs.rmSync(file, { force: true })
  fs.symlinkSync(target, file)
}

/** A plugin with a module of its own, and a package in a folder above. */
const scene = Effect.gen(function* () {
  const root = yield* temporary
  const at = (...parts: ReadonlyArray<string>): string => path.join(root, ...parts)
  const packageOf = (folder: string, text: string): void => {
    write(path.join(folder, "package.json"), '{ "name": "dep", "type": "module", "exports": "./one.js" }')
    write(path.join(folder, "one.js"), `export const one = "${text}"`)
    write(path.join(folder, "two.js"), "export const two = 2")
  }
  packageOf(at("node_modules", "dep"), "above")
  write(at("plugin", "own.mjs"), "export const own = 1")
  write(at("plugin", "script.js"), "globalThis.format = 1")
  write(at("plugin", "later.mjs"), "export const later = 1")
  write(
    at("plugin", "entry.mjs"),
    'import "dep"; import "./own.mjs"; import "./script.js"; import "./part/index.mjs"; export default () => import("./later.mjs")'
  )
  link("entry.mjs", at("plugin", "current.mjs"))
  // Two folders with the same files, but for one each.
  write(at("plugin", "part-1", "index.mjs"), 'import "./part.mjs"')
  write(at("plugin", "part-1", "part.mjs"), "export const part = 1")
  fs.mkdirSync(at("plugin", "part-2"))
  fs.linkSync(at("plugin", "part-1", "index.mjs"), at("plugin", "part-2", "index.mjs"))
  write(at("plugin", "part-2", "part.mjs"), "export const part = 2")
  link("part-1", at("plugin", "part"))
  fs.mkdirSync(at("release"))
  for (const file of ["entry.mjs", "script.js"]) fs.linkSync(at("plugin", file), at("release", file))
  link("entry.mjs", at("release", "current.mjs"))
  write(at("release", "own.mjs"), "export const own = 2")
  write(at("release", "part", "index.mjs"), "")
  link("plugin", at("now"))
  for (const file of fs.readdirSync(root, { recursive: true, encoding: "utf8" })) {
    fs.utimesSync(at(file), modified, modified)
  }
  yield* settled(root)
  return { root, at, packageOf, entry: at("now", "current.mjs"), ...(yield* loading) }
})

type Scene = Effect.Success<typeof scene>

/** What changes, and what the next guest must find in what it gets, or not find. */
const changes: {
  readonly [what: string]: {
    readonly change: (scene: Scene) => void
    readonly expected: string
    readonly gone?: string
  }
} = {
  "the entry": {
    change: ({ at }) => edit(at("plugin", "entry.mjs"), 'import "./own.mjs"; "new"'),
    expected: '"new"'
  },
  "a module that it imports, which keeps its size and modification time": {
    change: ({ at }) => edit(at("plugin", "own.mjs"), "export const own = 2"),
    expected: "own = 2"
  },
  "a file that is deleted": {
    change: ({ at }) => fs.rmSync(at("plugin", "own.mjs")),
    expected: "above",
    gone: "own = 1"
  },
  "a link above the entry, to a hard link of the same file": {
    change: ({ at }) => link("release", at("now")),
    expected: "own = 2"
  },
  "a link in the plugin's folder, to a hard link of the same file": {
    change: ({ at }) => link("part-2", at("plugin", "part")),
    expected: "part = 2"
  },
  "the link that the entry is": {
    change: ({ at }) => {
      write(at("plugin", "other.mjs"), '"another entry"')
      link("other.mjs", at("plugin", "current.mjs"))
    },
    expected: "another entry"
  },
  "the package.json of a package, in place": {
    change: ({ at }) =>
      edit(
        at("node_modules", "dep", "package.json"),
        '{ "name": "dep", "type": "module", "exports": "./two.js" }'
      ),
    expected: "two = 2"
  },
  "a package that is nearer": {
    change: ({ at, packageOf }) => packageOf(at("plugin", "node_modules", "dep"), "nearer"),
    expected: '"nearer"'
  },
  "a package.json that says what format a module has": {
    change: ({ at }) => write(at("plugin", "package.json"), '{ "type": "module" }'),
    expected: 'script.js","module"'
  }
}

describe("The modules that a guest gets first", () => {
  it.live("come without a loader thread if nothing has changed", () =>
    Effect.gen(function* () {
      const { load, entry } = yield* scene
      const { first, jobs } = yield* load({ entry })
      assert.deepStrictEqual(jobs, ["load"])
      for (const text of ["above", "own = 1", "format = 1"]) assert.include(first, text)
      for (let times = 0; times < 3; times++) {
        const again = yield* load({ entry })
        assert.strictEqual(again.first, first)
        assert.deepStrictEqual(again.jobs, [])
      }
    }).pipe(Effect.scoped)
  )

  for (const [what, { change, expected, gone }] of Object.entries(changes)) {
    it.live(`are read again after a change of ${what}`, () =>
      Effect.gen(function* () {
        const made = yield* scene
        const { load, entry } = made
        const before = yield* load({ entry })
        if (gone === undefined) assert.notInclude(before.first, expected)
        else assert.include(before.first, gone)
        assert.deepStrictEqual((yield* load({ entry })).jobs, [])
        change(made)
        const { first, jobs } = yield* load({ entry })
        assert.deepStrictEqual(jobs, ["load"])
        assert.include(first, expected)
        if (gone !== undefined) assert.notInclude(first, gone)
      }).pipe(Effect.scoped)
    )
  }

  it.live("have what an earlier guest had to ask for", () =>
    Effect.gen(function* () {
      const { load, entry, at } = yield* scene
      const parent = pathToFileURL(at("plugin", "entry.mjs")).href
      const later = { specifier: "./later.mjs", parent, require: false }
      yield* load({ entry })
      const asked = yield* load({ entry }, { requests: [later] })
      assert.deepStrictEqual(asked.jobs, ["ask"])
      assert.include(asked.frames[1] ?? "", "later = 1")
      const { first, jobs } = yield* load({ entry })
      assert.deepStrictEqual(jobs, ["load"])
      assert.include(first, "later = 1")
      assert.deepStrictEqual((yield* load({ entry })).jobs, [])
    }).pipe(Effect.scoped)
  )

  it.live("are refused if a module has changed that the integrity covers, also one that was not sent", () =>
    Effect.gen(function* () {
      const { load, entry, at } = yield* scene
      const integrity = yield* moduleIntegrity(entry)
      const { first } = yield* load({ entry, integrity })
      assert.include(first, "own = 1")
      assert.notInclude(first, "later = 1")
      edit(at("plugin", "later.mjs"), "export const later = 2")
      for (let times = 0; times < 2; times++) {
        assert.include((yield* load({ entry, integrity })).first, "are not those its integrity was made from")
      }
    }).pipe(Effect.scoped)
  )

  it.live("of a pinned plugin are hashed each time, so that a later import gets what was hashed", () =>
    Effect.gen(function* () {
      const { load, entry, at } = yield* scene
      const integrity = yield* moduleIntegrity(entry)
      const parent = pathToFileURL(at("plugin", "entry.mjs")).href
      yield* load({ entry, integrity })
      const { frames, jobs } = yield* load(
        { entry, integrity },
        {
          meanwhile: () => edit(at("plugin", "later.mjs"), "export const later = 2"),
          requests: [{ specifier: "./later.mjs", parent, require: false }]
        }
      )
      assert.deepStrictEqual(jobs, ["load", "ask"])
      assert.include(frames[1] ?? "", "later = 1")
    }).pipe(Effect.scoped)
  )

  it.live(
    "with keepLastGood, are read again after a change in a folder, and can be kept as the last good ones",
    () =>
      Effect.gen(function* () {
        const { load, entry, at, root } = yield* scene
        const keep = true
        for (const jobs of [["load"], [], []]) {
          const { guest, ...loaded } = yield* load({ entry }, { keep })
          assert.deepStrictEqual(loaded.jobs, jobs)
          assert.isFalse(yield* guest.loaded)
        }
        write(at("plugin", "unused.mjs"), "")
        yield* settled(root)
        assert.deepStrictEqual((yield* load({ entry })).jobs, [])
        for (const jobs of [["load"], []]) {
          const { guest, ...loaded } = yield* load({ entry }, { keep })
          assert.deepStrictEqual(loaded.jobs, jobs)
          assert.isFalse(yield* guest.loaded)
        }
        edit(at("plugin", "own.mjs"), "export const own = broken")
        const broken = yield* load({ entry }, { keep })
        assert.include(broken.first, "own = broken")
        assert.isTrue(yield* broken.guest.failed)
        const { first, guest } = yield* load({ entry }, { keep })
        assert.include(first, "own = 1")
        assert.isTrue(yield* guest.loaded)
      }).pipe(Effect.scoped)
  )

  /** A plugin with one more module, which leads to `outside`: by its name, or by a link. */
  const refused: { readonly [what: string]: (scene: Scene, outside: string) => string } = {
    "a path in a comment": (_, outside) => `// require("${outside}")`,
    "a path above": () => 'try { require("../outside.cjs") } catch {}',
    "a link": ({ at }, outside) => {
      link(outside, at("plugin", "linked.cjs"))
      return 'try { require("./linked.cjs") } catch {}'
    },
    "a link that leads nowhere": ({ at }) => {
      link(at("nothing.cjs"), at("plugin", "linked.cjs"))
      return 'try { require("./linked.cjs") } catch {}'
    },
    "a package that is a link": ({ at }) => {
      write(at("outside", "package.json"), '{ "name": "another" }')
      fs.mkdirSync(at("plugin", "node_modules"))
      link(at("outside"), at("plugin", "node_modules", "linked"))
      return 'try { require("linked") } catch {}'
    },
    "a package.json that is a link": ({ at }) => {
      write(at("outside.json"), "{}")
      link(at("outside.json"), at("plugin", "package.json"))
      return ""
    }
  }
  for (const [what, make] of Object.entries(refused)) {
    it.live(
      `are searched for each time if they lead outside by ${what}: the host looks at no such path`,
      () =>
        Effect.gen(function* () {
          const made = yield* scene
          const { at, load, root } = made
          const outside = write(at("outside.cjs"), "")
          const entry = write(at("plugin", "asks.js"), make(made, outside))
          yield* settled(root)
          for (let times = 0; times < 2; times++) {
            const { jobs, compared } = yield* load({ entry })
            assert.deepStrictEqual(jobs, ["load"])
            assert.deepStrictEqual(compared, [])
          }
        }).pipe(Effect.scoped)
    )
  }

  it.live("lead the host only to the plugin, its packages, and where Node would search for those", () =>
    Effect.gen(function* () {
      const { load, entry, at } = yield* scene
      const { compared } = yield* load({ entry })
      assert.include(compared, at("plugin", "own.mjs"))
      const places = [/\/package\.json$/, /\/node_modules\/dep$/]
      const folders = [at("plugin"), at("now"), at("node_modules", "dep")]
      for (const file of compared) {
        const inside = folders.some((folder) => file.startsWith(folder + path.sep))
        assert.isTrue(inside || places.some((place) => place.test(file)), file)
      }
    }).pipe(Effect.scoped)
  )

  it.live("are searched for each time if a file has only just changed", () =>
    Effect.gen(function* () {
      const { load, at } = yield* scene
      const entry = write(at("plugin", "new.mjs"), "")
      // A time to come, so that it does not matter how slow this machine is.
      const time = new Date(Date.now() + 3_600_000)
      fs.utimesSync(entry, time, time)
      for (let times = 0; times < 2; times++) {
        assert.deepStrictEqual((yield* load({ entry })).jobs, ["load"])
      }
    }).pipe(Effect.scoped)
  )

  it.live("are searched for each time if they have more than 1 MiB", () =>
    Effect.gen(function* () {
      const { load, at, root } = yield* scene
      const entry = write(at("plugin", "big.mjs"), `//${" ".repeat(1024 * 1024)}`)
      const small = write(at("plugin", "small.mjs"), `//${" ".repeat(512 * 1024)}`)
      yield* settled(root)
      yield* load({ entry })
      yield* load({ entry: small })
      assert.deepStrictEqual((yield* load({ entry })).jobs, ["load"])
      assert.deepStrictEqual((yield* load({ entry: small })).jobs, [])
    }).pipe(Effect.scoped)
  )

  it.live("are searched for each time if too many paths lead to them", () =>
    Effect.gen(function* () {
      const { load, at, root } = yield* scene
      const names = Array.from({ length: 120 }, (_, index) => `many${index}.mjs`)
      for (const name of names) write(at("plugin", name), "export {}")
      const entry = write(at("plugin", "large.mjs"), names.map((name) => `import "./${name}"`).join("\n"))
      yield* settled(root)
      yield* load({ entry })
      assert.deepStrictEqual((yield* load({ entry })).jobs, ["load"])
    }).pipe(Effect.scoped)
  )
})
