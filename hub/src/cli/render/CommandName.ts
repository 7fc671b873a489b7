/** Commands for people to type, as they work in their shell. */
import { nearest } from "../../workspace/Discovery.ts"

/** A word as a POSIX shell takes it. */
export const shellWord = (text: string): string =>
  /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** `npx agentlip` if npx or a script of npm started this process; then `agentlip` may not be on the PATH. */
export const commandName = (env: NodeJS.ProcessEnv = process.env): string =>
  env["npm_command"] === "exec" || env["npm_command"] === "run-script" ? "npx agentlip" : "agentlip"

/** A command for a workspace; names the folder unless the search from the working directory finds it. */
export const commandFor = (workspace: string, rest: string): string =>
  `${commandName()} ${rest}${nearest(process.cwd()) === workspace ? "" : ` -w ${shellWord(workspace)}`}`
