/** What `agentlip up` prints. */
import { engineWarning, type LoadedConfig } from "@agentlip/plugin-runtime"
import { Console, Effect } from "effect"
import { HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import * as LoadReport from "../../plugins/LoadReport.ts"
import { Identity } from "../../workspace/HubIdentity.ts"
import { Workspace } from "../../workspace/Workspace.ts"
import { commandFor } from "../calledAs.ts"
import * as Log from "../flags/Log.ts"
import { show } from "../render/Output.ts"
import { readersText } from "../render/Readers.ts"
import { shellWord } from "../render/shellWord.ts"

/** Prints the hub's address and the first commands once it listens. */
export const hubAddress = Effect.fnUntraced(function* (format: Log.Format, readAuth: boolean) {
  const { root } = yield* Workspace
  const { address } = yield* HttpServer.HttpServer
  const sql = yield* SqlClient.SqlClient
  const [topic] = yield* sql<{ name: string; title: string }>`
    SELECT c.name, t.title FROM topics t JOIN channels c ON c.id = t.channel_id ORDER BY t.id LIMIT 1`
  const url = HttpServer.formatAddress(address)
  const where = topic === undefined ? "general/hello" : `${topic.name}/${topic.title}`
  const post = `msg send ${shellWord(where)} "Hello"${topic === undefined ? " --create" : ""}`
  yield* Log.say(
    format,
    [
      `The hub of ${root} is at ${url}. Press Ctrl-C to stop it.`,
      "",
      `  Post a message:  ${commandFor(root, post)}`,
      `  Follow events:   ${commandFor(root, "listen --since now")}`,
      `  Open the page:   ${commandFor(root, "open")}`,
      "",
      readersText(readAuth)
    ],
    [["the hub is up", { workspace: root, url, pid: process.pid, read_auth: readAuth }]]
  )
})

/** Prints the JSON document with the address of the hub, as `agentlipd up --json` of v1 did. */
export const hubAddressDocument = Effect.gen(function* () {
  const { root } = yield* Workspace
  const { instance_id } = yield* Identity
  const { address } = yield* HttpServer.HttpServer
  const { hostname, port } = new URL(HttpServer.formatAddress(address))
  const host = hostname.replace(/^\[|\]$/g, "")
  yield* show({ status: "running", host, port: Number(port), workspace_root: root, instance_id }, () => [])
})

/** Prints one line about this version of Node. `agentlip doctor` tells more. */
export const nodeWarning = Effect.fnUntraced(function* (format: Log.Format, workspace: string) {
  const { node } = process.versions
  const known = engineWarning(node)
  if (known === undefined) return
  yield* format === "text"
    ? Console.log(
        `Note: Node ${node} has known holes that Agentlip closes itself. More: ${commandFor(workspace, "doctor")}`
      )
    : Effect.logWarning(`${known.reason}; ${known.remedy}`)
})

const configSource = (workspace: string, file: string | undefined): string =>
  file ?? `none: ${workspace} has no agentlip.config.ts. Create one: ${commandFor(workspace, "init")}`

/** Prints how each plugin has loaded. */
export const loadedPlugins = (
  format: Log.Format,
  { workspace, file, disabled }: { readonly workspace: string } & Pick<LoadedConfig, "file" | "disabled">,
  results: ReadonlyArray<LoadReport.LoadResult>
) =>
  Log.say(
    format,
    [`\nPlugins (${configSource(workspace, file)}):`, ...LoadReport.render(results, disabled)],
    LoadReport.entries(results, disabled)
  )

/** Prints that the hub has stopped. */
export const goodbye = (format: Log.Format) =>
  Log.say(format, ["", "The hub has stopped. Goodbye."], [["the hub has stopped", {}]])
