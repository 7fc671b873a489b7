/** Writes the README's table of a spec's settings from their declarations. */
import { Duration, Schema } from "effect"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { defaultSettings } from "../src/Plugin.ts"
import { breaker, limits, optionalLimits, optionalSettings, settings as own } from "../src/spec/settings.ts"

/** A setting as documents have it. */
export interface Setting {
  readonly name: string
  readonly description: string
  readonly default: string
}

const textOf = (value: unknown): string => {
  if (Duration.isDuration(value)) return Duration.isZero(value) ? "0" : `${Duration.toSeconds(value)} seconds`
  if (typeof value === "number") return value.toLocaleString("en-US")
  return typeof value === "object" ? "none" : `\`${JSON.stringify(value)}\``
}

const settingsOf = (
  fields: { readonly [name: string]: Schema.Top },
  prefix = "",
  values: object = {}
): ReadonlyArray<Setting> =>
  Object.entries(fields).map(([name, schema]) => {
    const text = Schema.resolveAnnotationsKey(schema)?.description ?? ""
    const [description = "", absent = ""] = text.split(". Default: ")
    const value: unknown = Reflect.get(values, name)
    return { name: `${prefix}${name}`, description, default: value === undefined ? absent : textOf(value) }
  })

/** All of them, in the order of the table. */
export const settings: ReadonlyArray<Setting> = [
  ...settingsOf(own, "", defaultSettings),
  ...settingsOf(optionalSettings),
  ...settingsOf(limits, "limits.", defaultSettings.limits),
  ...settingsOf(optionalLimits, "limits."),
  ...settingsOf(breaker, "breaker.")
]

const table = [
  "| of a spec (`makeSpec`) | default | |",
  "| --- | --- | --- |",
  ...settings.map(({ name, description, default: text }) => `| \`${name}\` | ${text} | ${description} |`)
].join("\n")

const readme = fileURLToPath(new URL("../README.md", import.meta.url))

/** The README with that table in the place of the one that it has. */
export const document = fs
  .readFileSync(readme, "utf8")
  .replace(/^\| of a spec \(`makeSpec`\) .*?(?=\n\n)/ms, () => table)

if (process.argv[1] === fileURLToPath(import.meta.url)) fs.writeFileSync(readme, document)
