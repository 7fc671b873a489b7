/** Defaults for plugins in a config file: the isolation level, and the plugins that come with the hub. */
import type { LoadConfigOptions } from "@agentlip/plugin-runtime"
import { fileURLToPath } from "node:url"

const names = ["url-linkifier", "url-extractor", "reference-linkifier", "mention-linkifier"]

const isSource = import.meta.url.endsWith(".ts")

/** The file of a shipped plugin: next to the built hub, or in the source tree. */
const fileOf = (name: string): string =>
  fileURLToPath(
    new URL(isSource ? `../../../plugins/src/${name}.ts` : `./plugins/${name}.js`, import.meta.url)
  )

export const configDefaults = {
  isolation: "process",
  shipped: Object.fromEntries(names.map((name) => [`@agentlip/plugins/${name}`, fileOf(name)]))
} as const satisfies LoadConfigOptions
