/** What the hub says of all plugins in a config file: their level, and which plugins it brings along. */
import type { LoadConfigOptions } from "@agentlip/plugin-runtime"
import { fileURLToPath } from "node:url"

const names = ["url-linkifier", "url-extractor", "reference-linkifier", "mention-linkifier"]

const isSource = import.meta.url.endsWith(".ts")

/** Next to the built hub, or where their sources are. */
const fileOf = (name: string): string =>
  fileURLToPath(
    new URL(isSource ? `../../../plugins/src/${name}.ts` : `./plugins/${name}.js`, import.meta.url)
  )

export const configDefaults = {
  isolation: "process",
  shipped: Object.fromEntries(names.map((name) => [`@agentlip/plugins/${name}`, fileOf(name)]))
} as const satisfies LoadConfigOptions
