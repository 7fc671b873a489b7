/** `agentlip open`: opens the web console. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { spawn } from "node:child_process"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import * as SafeFiles from "../../workspace/SafeFiles.ts"
import { Workspace } from "../../workspace/Workspace.ts"
import { CommandError } from "../CommandError.ts"
import { connect } from "../hub/HubClient.ts"
import { show } from "../render/Output.ts"

/** The program that opens a file as a click on it would; `undefined` without a desktop. */
const opener = (): readonly [string, ...Array<string>] | undefined => {
  const { platform, env } = process
  if (platform === "darwin") return ["open"]
  if (platform === "win32") return ["cmd", "/c", "start", ""]
  return env["DISPLAY"] === undefined && env["WAYLAND_DISPLAY"] === undefined ? undefined : ["xdg-open"]
}

const pageThatGoesTo = (url: string): string => `<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url=${url}">
<title>Agentlip</title>
<a href="${url}">Open the console</a>
`

/** Writes a page that only this user can read. Every user of the machine can see the arguments of a process. */
const writePage = (workspace: string, url: string) =>
  Effect.try({
    try: () => {
      const file = path.join(Workspace.pathsOf(workspace).folder, "open.html")
      SafeFiles.replace(file, pageThatGoesTo(url))
      return file
    },
    catch: (cause) =>
      new CommandError({ reason: `The page that opens the browser: ${String(cause)}`, code: "ERROR" })
  })

/** Starts the browser. Returns `false` if its program is missing. */
const startBrowser = ([program, ...args]: readonly [string, ...Array<string>], file: string) =>
  Effect.callback<boolean>((resume) => {
    const child = spawn(program, [...args, pathToFileURL(file).href], { stdio: "ignore", detached: true })
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("spawn", () => {
      child.unref()
      resume(Effect.succeed(true))
    })
  })

export const open = Command.make(
  "open",
  {
    noBrowser: Flag.Boolean("no-browser").pipe(
      Flag.withDescription("Print the link only. Default: open it in the browser too, if there is a desktop"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ noBrowser }) {
    const { workspace, url: origin, ask } = yield* connect
    const link = yield* ask((api) => api.console.makeConsoleLink())
    const url = origin + link.path
    const program = noBrowser ? undefined : opener()
    const opened =
      program !== undefined &&
      (yield* Effect.flatMap(writePage(workspace, url), (file) => startBrowser(program, file)))
    yield* show({ url, expires_at: link.expires_at, opened }, () => [
      url,
      "",
      `${opened ? "Opening it in your browser. If nothing happens, open" : "Open"} this link within 5 minutes. It works once.`
    ])
  })
).pipe(
  Command.withDescription("Open the web console: print a link that signs in one browser, and open it"),
  Command.withExamples([
    { command: "agentlip open" },
    { command: "agentlip open --no-browser", description: "Print the link only" }
  ])
)
