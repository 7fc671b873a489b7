/** The modules that a guest gets first: without a loader thread as long as nothing has changed that led to them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
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

/** Loads plugins, and counts what loader threads do for that. */
const loading = Effect.gen(function* () {
  let jobs: Array<string> = []
  class CountingPool extends LoaderPool {
    override submit(key: string, job: LoaderJob, done: Done): () => void {
      jobs.push(job.type)
      return super.submit(key, job, done)
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
    /** What a new guest gets first, then the answer to each of its `requests`, and the jobs of loader threads. */
    load: (plugin: PluginModules, requests: ReadonlyArray<object> = []) =>
      Effect.promise(async () => {
        jobs = []
        const guest = new GuestModules({ guest: guests++, plugin, ...shared, keep: false })
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
        for (const request of requests) {
          ask(JSON.stringify(request))
          await took()
        }
        guest.close()
        return { frames, first: frames[0] ?? "", jobs }
      })
  }
})

/** In place, with other times than before. */
let edits = 0
const edit = (file: string, text: string): void => {
  write(file, text)
  const time = new Date(2_000_000_000_000 + ++edits * 1_000)
  fs.utimesSync(file, time, time)
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
    'import "dep"; import "./own.mjs"; import "./script.js"; export default () => import("./later.mjs")'
  )
  link("entry.mjs", at("plugin", "current.mjs"))
  return { at, packageOf, entry: at("plugin", "current.mjs"), ...(yield* loading) }
})

type Scene = Effect.Success<typeof scene>

/** What changes, and what the next guest must find in what it gets. */
const changes: {
  readonly [what: string]: { readonly change: (scene: Scene) => void; readonly expected: string }
} = {
  "the entry": {
    change: ({ at }) => edit(at("plugin", "entry.mjs"), 'import "./own.mjs"; "new"'),
    expected: '"new"'
  },
  "a module that it imports": {
    change: ({ at }) => edit(at("plugin", "own.mjs"), "export const own = 2"),
    expected: "own = 2"
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
    expected: '"module",21'
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

  for (const [what, { change, expected }] of Object.entries(changes)) {
    it.live(`are read again after a change of ${what}`, () =>
      Effect.gen(function* () {
        const made = yield* scene
        const { load, entry } = made
        assert.notInclude((yield* load({ entry })).first, expected)
        assert.deepStrictEqual((yield* load({ entry })).jobs, [])
        change(made)
        const { first, jobs } = yield* load({ entry })
        assert.deepStrictEqual(jobs, ["load"])
        assert.include(first, expected)
      }).pipe(Effect.scoped)
    )
  }

  it.live("have what an earlier guest had to ask for", () =>
    Effect.gen(function* () {
      const { load, entry, at } = yield* scene
      const parent = pathToFileURL(at("plugin", "entry.mjs")).href
      const later = { specifier: "./later.mjs", parent, require: false }
      yield* load({ entry })
      const asked = yield* load({ entry }, [later])
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
      assert.deepStrictEqual((yield* load({ entry, integrity })).jobs, [])
      edit(at("plugin", "later.mjs"), "export const later = 2")
      for (let times = 0; times < 2; times++) {
        assert.include((yield* load({ entry, integrity })).first, "are not those its integrity was made from")
      }
    }).pipe(Effect.scoped)
  )

  it.live("are searched for each time if too many paths lead to them", () =>
    Effect.gen(function* () {
      const { load, at } = yield* scene
      const names = Array.from({ length: 120 }, (_, index) => `many${index}.mjs`)
      for (const name of names) write(at("plugin", name), "export {}")
      const entry = write(at("plugin", "large.mjs"), names.map((name) => `import "./${name}"`).join("\n"))
      yield* load({ entry })
      assert.deepStrictEqual((yield* load({ entry })).jobs, ["load"])
    }).pipe(Effect.scoped)
  )
})
