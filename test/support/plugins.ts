/** What tests that run plugins on every level share: folders that guests can read, and a look at what came of a run. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { PluginError, PluginErrorCode } from "../../src/Errors.ts"

/** A folder that is gone when the test is. */
export const temporary = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "plugins-")))
    // Where the host is root, processes of its plugins run as another user.
    fs.chmodSync(folder, 0o777)
    return folder
  }),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

export const write = (file: string, text: string): string => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
  return file
}

/** The data of a run's first enrichment. */
export const dataOf = (output: ReadonlyArray<{ readonly data: object }>): Record<string, unknown> => ({
  ...output[0]?.data
})

/** The error that a run is to fail with. */
export const failing = <A, R>(effect: Effect.Effect<A, PluginError, R>, code: PluginErrorCode) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.strictEqual(error._tag, code, error.message)
    return error
  })
