/** Which versions of Node are supported: one table, and everything that repeats it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { checkEngine, engineWarning, floors, range, toInstall } from "../../src/capabilities/engines.ts"
import { WorkerLayer } from "../../src/WorkerLayer.ts"

const read = (file: string): string => fs.readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")

const isHeld = (version: string): boolean =>
  Result.isSuccess(checkEngine("thread", version)) && Result.isSuccess(checkEngine("process", version))

describe("versions of Node", () => {
  it.each(["20.20.0", "22.19.0", "24.6.0", "24.18.0", "24.19.0", "25.9.9", "26.0.0", "26.5.0"])(
    "%s is refused",
    (version) => {
      assert.isFalse(isHeld(version))
      for (const level of ["thread", "process"] as const) {
        const { reason, remedy } = Result.getOrThrow(Result.flip(checkEngine(level, version)))
        assert.match(reason, /a grant of \/a can also grant \/ab|working directory/)
        assert.strictEqual(remedy, "install Node 24.20.0 or 26.5.1, or newer")
      }
    }
  )

  it.each(["24.20.0", "24.21.0", "24.22.0", "26.5.1", "26.10.0", "26.12.0"])(
    "%s is supported, with a warning that names its holes and what holds instead",
    (version) => {
      assert.isTrue(isHeld(version))
      const warning = engineWarning(version)
      assert.include(warning?.reason, "Brotli")
      assert.include(warning?.reason, "every path is judged before Node sees it")
      assert.strictEqual(warning?.remedy, "install Node 24.22.1 or 26.12.1, or newer")
    }
  )

  it.each(["24.22.1", "24.30.0", "26.12.1", "26.100.0", "27.0.0", "28.1.0-nightly2027"])(
    "%s is sound",
    (version) => {
      assert.isTrue(isHeld(version))
      assert.isUndefined(engineWarning(version))
    }
  )

  it("the packages' engines, the README and the docs name the same versions", () => {
    const manifest = JSON.parse(read("package.json"))
    assert.strictEqual(manifest.engines.node, range)
    assert.strictEqual(JSON.parse(read("package-lock.json")).packages[""].engines.node, range)
    assert.isTrue(isHeld(manifest.devDependencies.node))
    for (const file of [
      "README.md",
      "docs/operations.md",
      "docs/plugin-authors.md",
      "docs/capabilities.md"
    ]) {
      assert.include(read(file), toInstall(), file)
      const others = [...read(file).matchAll(/Node (\d+\.\d+[.\d]*)/g)].filter(
        ([, version]) => !floors.includes(version ?? "")
      )
      assert.deepStrictEqual(
        others.map(([text]) => text),
        [],
        file
      )
    }
    const [, gate = ""] = /node@(24\.[\d.]+)/.exec(read(".ci/run")) ?? []
    assert.isTrue(isHeld(gate), "the gate's Node 24")
  })
})

describe("the option node", () => {
  const load = (version: string) =>
    Effect.gen(function* () {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "engines-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(folder, { recursive: true })))
      const node = path.join(folder, "node")
      fs.writeFileSync(node, `#!/bin/sh\necho ${version}\n`, { mode: 0o755 })
      const workers = yield* Effect.provide(WorkerLayer, WorkerLayer.layerProcess({ node, spares: 0 }))
      return workers
    }).pipe(Effect.scoped, Effect.flip)

  it.live("a Node with holes is refused by name", () =>
    Effect.map(load("v24.10.0"), (error) => {
      assert.strictEqual(error._tag, "UnsupportedRuntime")
      assert.include(error.message, 'isolation "process" cannot hold plugins on Node 24.10.0: a grant of /a')
      assert.include(error.message, "install Node 24.20.0 or 26.5.1, or newer")
    })
  )

  it.live("a program that is not Node is refused", () =>
    Effect.map(load("hello"), (error) =>
      assert.match(error.message, /needs Node, and .*node is hello; install/)
    )
  )
})
