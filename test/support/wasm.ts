/** Plugins on the wasm level that a test writes as a line of code. */
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { PluginError, PluginErrorCode } from "../../src/Errors.ts"
import { makeSpec, type PluginSpecOptions } from "../../src/Plugin.ts"
import { makeKind } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { message } from "./isolation.ts"

/** A kind that takes and gives anything. */
const anything = makeKind({
  name: "anything",
  method: "go",
  input: Schema.Struct({ message: Schema.Unknown }),
  output: Schema.Unknown
})

let plugins = 0

export type Options = Partial<PluginSpecOptions<typeof anything>>

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "wasm-")))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** Writes files, by name. */
const write = (folder: string, files: { readonly [name: string]: string }): void => {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text)
  }
}

/** Runs files as a plugin whose entry is `plugin.mjs`, so many times in a row. */
export const runs = (
  files: { readonly [name: string]: string },
  times: number,
  options: Options = {},
  ask = ""
) =>
  Effect.gen(function* () {
    const home = yield* folder
    write(home, files)
    const runtime = yield* PluginRuntime
    const spec = makeSpec({
      // Of its own: a breaker that one opens is no other's.
      name: `plugin-${++plugins}`,
      kind: anything,
      modulePath: path.join(home, "plugin.mjs"),
      isolation: "wasm",
      ...options
    })
    const results = []
    for (let n = 0; n < times; n++) {
      results.push(yield* Effect.result(runtime.run(spec, { message: { ...message, content_raw: ask } })))
    }
    return results
  }).pipe(Effect.scoped)

export const body = (text: string): { readonly [name: string]: string } => ({
  "plugin.mjs": `export default { async go({ message }, { signal, log }) { ${text} } }`
})

export const runFiles = (files: { readonly [name: string]: string }, options: Options = {}, ask = "") =>
  Effect.flatMap(runs(files, 1, options, ask), ([result]) =>
    result === undefined ? Effect.die("no result") : Effect.fromResult(result)
  )

/** What a method with that body answers. */
export const run = (text: string, options: Options = {}, ask = "") => runFiles(body(text), options, ask)

export const failing = <A, R>(
  effect: Effect.Effect<A, PluginError, R>,
  ...codes: ReadonlyArray<PluginErrorCode>
) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.include(codes, error._tag, error.message)
    return error
  })
