/** Config files that export, await or throw what a config file should not. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { loadConfig } from "../../src/Config.ts"

const workspace = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "config-file-")))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

const written = (source: string) =>
  Effect.map(workspace, (root) => {
    fs.writeFileSync(path.join(root, "agentlip.config.mjs"), source)
    return root
  })

const entry = '{ name: "a", modulePath: "./a.mjs" }'

describe("a config file", () => {
  it.effect("may export a promise", () =>
    Effect.gen(function* () {
      const root = yield* written(`export default Promise.resolve({ linkifiers: [${entry}] })`)
      const { specs } = yield* loadConfig(root)
      assert.deepStrictEqual(
        specs.map(({ name }) => name),
        ["a"]
      )
    })
  )

  const wrong: ReadonlyArray<readonly [what: string, source: string, problem: RegExp]> = [
    [
      "a promise that rejects",
      'export default Promise.reject(new Error("no vault"))',
      /cannot be loaded: Error.*no vault/
    ],
    ["a function", "export default async () => ({ linkifiers: [] })", /expected an object, got a function/],
    ["a Map", 'export default new Map([["linkifiers", []]])', /must export a plain object/],
    ["a class's object", "export default new (class { linkifiers = [] })()", /must export a plain object/],
    [
      "a getter that throws",
      'export default { get linkifiers() { throw new Error("boo") } }',
      /linkifiers: cannot be read: Error: boo/
    ],
    [
      "a getter of an entry that throws",
      "export default { linkifiers: [{ get name() { throw 7 } }] }",
      /linkifiers\[0\]\.name: cannot be read: 7/
    ],
    [
      "a proxy that throws",
      'export default new Proxy({}, { ownKeys() { throw new Error("boo") } })',
      /cannot be read: Error: boo/
    ],
    [
      "a proxy without a prototype to look at",
      'export default { linkifiers: new Proxy({}, { getPrototypeOf() { throw new Error("boo") } }) }',
      /linkifiers: cannot be read: Error: boo/
    ],
    [
      "a circle",
      `const config = {}; export default { linkifiers: [{ name: "a", modulePath: "./a.mjs", config }] }; config.self = config`,
      /config\.self|config: expected/
    ]
  ]
  for (const [what, source, problem] of wrong) {
    it.effect(`that exports ${what} is refused with its place`, () =>
      Effect.gen(function* () {
        const root = yield* written(source)
        const error = yield* Effect.flip(loadConfig(root))
        assert.strictEqual(error._tag, "ConfigError")
        assert.match(error.message, problem)
        assert.include(error.message, "agentlip.config.mjs")
        assert.notMatch(error.message, /\n +at /)
      })
    )
  }

  for (const source of [
    "await new Promise(() => {}); export default {}",
    "export default new Promise(() => {})"
  ]) {
    it.effect(`that never settles is given up: ${source}`, () =>
      Effect.gen(function* () {
        const root = yield* written(source)
        const loading = yield* Effect.forkChild(Effect.flip(loadConfig(root)))
        yield* TestClock.adjust("31 seconds")
        const { message } = yield* Fiber.join(loading)
        assert.include(message, "agentlip.config.mjs")
        assert.include(message, "was not loaded within 30 seconds")
      })
    )
  }

  it.effect("that is a pipe, or has no end, is refused at once", () =>
    Effect.gen(function* () {
      const root = yield* workspace
      const file = path.join(root, "agentlip.config.mjs")
      execFileSync("mkfifo", [file])
      assert.include((yield* Effect.flip(loadConfig(root))).message, "not a regular file")
      fs.rmSync(file)
      fs.symlinkSync("/dev/zero", file)
      assert.include((yield* Effect.flip(loadConfig(root))).message, "not a regular file")
      fs.rmSync(file)
      fs.writeFileSync(file, `//${"x".repeat(1024 * 1024)}`)
      assert.include((yield* Effect.flip(loadConfig(root))).message, "larger than")
    })
  )
})
