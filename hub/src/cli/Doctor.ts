/** `agentlip doctor`: what is wrong with a workspace or a machine, and what to do about it. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { CommandError } from "./CommandError.ts"
import { type Check, checkOf } from "./doctor/Check.ts"
import { fileChecks, trustCheck } from "./doctor/files.ts"
import { pluginChecks } from "./doctor/plugins.ts"
import { namedFolder, Trust } from "./Globals.ts"
import { printable, show } from "./Output.ts"

const oldest = [24, 6] as const

const node = (version: string): Check => {
  const { ok, problem } = checkOf("node")
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
    ? ok(`Node ${version}`)
    : problem(`Node ${version} is too old`, `install Node ${oldest.join(".")} or newer`)
}

/** Further lines are below the first. */
const indented = (text: string): string => printable(text).replaceAll("\n", "\n           ")

const render = ({ name, status, message, remedy }: Check): ReadonlyArray<string> => [
  `  ${status.padEnd(8)} ${name}: ${indented(message)}`,
  ...(remedy === undefined ? [] : [`           → ${indented(remedy)}`])
]

export const doctor = Command.make("doctor", {}, () =>
  Effect.gen(function* () {
    const workspace = yield* namedFolder
    const owner = trustCheck(workspace)
    const mayLook = owner.status === "ok" || (yield* Trust)
    const checks = [
      node(process.versions.node),
      owner,
      ...(mayLook ? [...(yield* fileChecks(workspace)), ...(yield* pluginChecks(workspace))] : [])
    ]
    const problems = checks.filter(({ status }) => status === "problem").length
    yield* show({ workspace, ok: problems === 0, checks }, () => checks.flatMap(render))
    if (problems > 0) {
      return yield* new CommandError({
        reason:
          problems === 1 ? "There is a problem; see above" : `There are ${problems} problems; see above`,
        code: "PROBLEMS"
      })
    }
  })
).pipe(Command.withDescription("Look for what is wrong with the workspace or this machine"))
