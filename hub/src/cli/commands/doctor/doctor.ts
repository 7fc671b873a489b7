/** `agentlip doctor`: finds problems of a workspace or this machine, and says what to do. */
import { checkEngine, engineWarning } from "@agentlip/plugin-runtime"
import { protocolVersions } from "@agentlip/protocol"
import { Effect, Result } from "effect"
import { Command } from "effect/cli"
import { Workspace } from "../../../workspace/Workspace.ts"
import { CommandError } from "../../CommandError.ts"
import { type Check, checkOf } from "./Check.ts"
import { databaseId, fileChecks, trustCheck } from "./files.ts"
import { pluginChecks } from "./plugins.ts"
import { serviceChecks } from "./services.ts"
import { namedFolder, Trust } from "../../flags/Globals.ts"
import { serviceFlags } from "../../flags/ServiceFlags.ts"
import { documentOf } from "../../render/Errors.ts"
import { indented, show } from "../../render/Output.ts"

const node = (version: string): Check => {
  const { ok, warning, problem } = checkOf("node")
  const checked = checkEngine("process", version)
  if (Result.isFailure(checked)) {
    const { reason, remedy = "" } = checked.failure
    return problem(reason, remedy)
  }
  const known = engineWarning(version)
  return known === undefined ? ok(`Node ${version}`) : warning(known.reason, known.remedy)
}

const below = " ".repeat(11)

const render = ({ name, status, message, remedy }: Check): ReadonlyArray<string> => [
  `  ${status.padEnd(8)} ${name}: ${indented(message, below)}`,
  ...(remedy === undefined ? [] : [`           → ${indented(remedy, below)}`])
]

/** The fields of Agentlip v1's report. */
const v1Fields = (workspace: string) => {
  const paths = Workspace.pathsOf(workspace)
  const { schema_version } = protocolVersions
  return {
    workspace_root: paths.root,
    db_path: paths.database,
    db_id: databaseId(paths),
    schema_version,
    query_only: true
  }
}

export const doctor = Command.make("doctor", serviceFlags, (services) =>
  Effect.gen(function* () {
    const workspace = yield* namedFolder
    const owner = trustCheck(workspace)
    const mayLook = owner.status === "ok" || (yield* Trust)
    const checks = [
      node(process.versions.node),
      owner,
      ...(mayLook
        ? [
            ...(yield* fileChecks(workspace)),
            ...(yield* serviceChecks(services)),
            ...(yield* pluginChecks(workspace))
          ]
        : [])
    ]
    const problems = checks.filter(({ status }) => status === "problem").length
    const error =
      problems === 0
        ? undefined
        : new CommandError({
            reason:
              problems === 1 ? "There is a problem; see above" : `There are ${problems} problems; see above`,
            code: "PROBLEMS"
          })
    const report = { workspace, ok: problems === 0, checks, ...(mayLook ? v1Fields(workspace) : {}) }
    yield* show({ ...report, ...(error === undefined ? {} : documentOf(error)) }, () =>
      checks.flatMap(render)
    )
    if (error !== undefined) return yield* error
  })
).pipe(
  Command.withDescription("Check the workspace, its plugins and this machine; show how to fix each problem"),
  Command.withExamples([
    { command: "agentlip doctor" },
    {
      command: "agentlip doctor --database postgres://agentlip@localhost/chat",
      description: "PostgreSQL too"
    }
  ])
)
