/** Standard Schemas for the operator's `config`, without a dependency. Their messages say what to write. */
import type { ConfigSchema, StandardResult } from "@agentlip/plugin-runtime/plugin"

/** One problem of a config. */
export interface Issue {
  readonly message: string
  readonly path: ReadonlyArray<string>
}

type Options = { readonly [option: string]: unknown }

const isOptions = (value: unknown): value is Options =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const unknownOptions = (options: Options, known: ReadonlyArray<string>): Array<Issue> =>
  Object.keys(options)
    .filter((option) => !known.includes(option))
    .map((option) => ({
      message:
        known.length === 0
          ? "unknown option; this plugin has none"
          : `unknown option; this plugin has ${known.map((name) => `"${name}"`).join(" and ")}`,
      path: [option]
    }))

/**
 * A schema for a config with these options and no others. `read` turns the operator's config into the plugin's, and
 * reports problems.
 */
export const configSchema = <Config>(
  known: ReadonlyArray<string>,
  read: (options: Options, report: (option: string, message: string) => void) => Config
): ConfigSchema<Config> => ({
  "~standard": {
    version: 1,
    vendor: "agentlip",
    validate: (value): StandardResult<Config> => {
      if (!isOptions(value)) return { issues: [{ message: "expected an object of options" }] }
      const issues = unknownOptions(value, known)
      const config = read(value, (option, message) => issues.push({ message, path: [option] }))
      return issues.length === 0 ? { value: config } : { issues }
    }
  }
})

/** The schema of a plugin without options. */
export const noOptions = configSchema([], () => ({}))
