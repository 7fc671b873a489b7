/** A plugin that writes what it does into a file of its own, for tests that ask what really was executed. */
import * as fs from "node:fs"
import * as path from "node:path"
import type { PluginSpec } from "../../src/Plugin.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { type Level, specOn } from "./isolation.ts"
import { write } from "./plugins.ts"

/** The plugin's spec, and where its diary is; the plugin finds the path in its config as `diary`. */
export const diarist = (
  level: Level,
  folder: string,
  source: string
): { readonly diary: string; readonly spec: PluginSpec<typeof linkifier> } => {
  const diary = write(path.join(folder, "diary", "notes"), "")
  // Whoever guests run as, they write into it.
  fs.chmodSync(diary, 0o666)
  return {
    diary,
    spec: specOn(level, {
      name: "diarist",
      kind: linkifier,
      modulePath: write(path.join(folder, "plugin", "diarist.mjs"), source),
      config: { diary },
      grants: { write: [diary] },
      timeout: "20 seconds"
    })
  }
}
