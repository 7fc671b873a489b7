/** How this command was called, so that hints can be pasted. `agentlip` may not be on the user's PATH. */
import * as path from "node:path"
import { findWorkspace } from "@agentlip/client/Node"
import { shellWord } from "./render/shellWord.ts"

/** How a process was started. */
export interface Invocation {
  /** The path of the script as Node received it. */
  readonly script: string
  /** Options for Node itself. */
  readonly nodeOptions: ReadonlyArray<string>
  readonly env: { readonly [name: string]: string | undefined }
  readonly cwd: string
}

/** Commands that run a package's `bin`, by the package manager named in `npm_config_user_agent`. */
const runners: { readonly [manager: string]: string } = {
  npm: "npx",
  pnpm: "pnpm exec",
  yarn: "yarn exec",
  bun: "bunx"
}

/** The words to type before a subcommand, for an invocation. */
export const callOf = ({ script: called, nodeOptions, env, cwd }: Invocation): string => {
  // `agentlipd` has only two of the commands.
  const script = called.replace(/agentlipd(\.js)?$/, "agentlip$1")
  const manager = (env["npm_config_user_agent"] ?? "").split("/")[0] ?? ""
  const runner = env["npm_command"] === undefined ? undefined : runners[manager]
  if (path.basename(script) === "agentlip") {
    if (runner !== undefined) return `${runner} agentlip`
    const onPath = (env["PATH"] ?? "").split(path.delimiter).includes(path.dirname(script))
    return onPath ? "agentlip" : shellWord(pathFrom(cwd, script))
  }
  const node = runner === undefined ? ["node"] : [runner, "node"]
  return [...node, ...nodeOptions.map(shellWord), shellWord(pathFrom(cwd, script))].join(" ")
}

const pathFrom = (cwd: string, file: string): string => {
  const relative = path.relative(cwd, file)
  if (relative.startsWith("..")) return file
  return relative.includes("/") ? relative : `./${relative}`
}

/** The words to type before a subcommand, for this process. */
export const calledAs = (): string =>
  callOf({
    script: process.argv[1] ?? "agentlip",
    nodeOptions: process.execArgv,
    env: process.env,
    cwd: process.cwd()
  })

/** A command for a workspace. Adds `-w` unless the search from the working directory finds this workspace. */
export const commandFor = (workspace: string, rest: string): string =>
  `${calledAs()} ${rest}${findWorkspace(process.cwd()) === workspace ? "" : ` -w ${shellWord(workspace)}`}`
