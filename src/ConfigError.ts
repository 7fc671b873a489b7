/** The error of a config file, and the problems of specs that it lists. */
import { Schema } from "effect"

/** One problem of a spec or a config file: its place (`linkifiers[0].timeout`; empty: the whole), and what is wrong there. */
export const ConfigProblem = Schema.Struct({ path: Schema.String, problem: Schema.String })
export type ConfigProblem = typeof ConfigProblem.Type

/** `agentlip.config.ts` is invalid. Lists all problems, each with its path in the file. */
export class ConfigError extends Schema.TaggedError<ConfigError>("@agentlip/plugin-runtime/ConfigError")(
  "ConfigError",
  {
    file: Schema.String,
    problems: Schema.Array(ConfigProblem)
  }
) {
  override get message(): string {
    const lines = this.problems.map(({ path, problem }) => `  ${path === "" ? "(file)" : path}: ${problem}`)
    return `${this.file} has ${this.problems.length === 1 ? "a problem" : `${this.problems.length} problems`}:\n${lines.join("\n")}`
  }
}
