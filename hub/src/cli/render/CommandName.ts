/** Builds commands that people can paste into their shell. */
import { nearest } from "../../workspace/Discovery.ts"
import { shellWord } from "./shellWord.ts"

/** `npx agentlip` if npx or an npm script started this process, because `agentlip` may not be on the PATH then. */
export const commandName = (env: NodeJS.ProcessEnv = process.env): string =>
  env["npm_command"] === "exec" || env["npm_command"] === "run-script" ? "npx agentlip" : "agentlip"

/** A command for a workspace. Adds `-w` unless the search from the working directory finds this workspace. */
export const commandFor = (workspace: string, rest: string): string =>
  `${commandName()} ${rest}${nearest(process.cwd()) === workspace ? "" : ` -w ${shellWord(workspace)}`}`
