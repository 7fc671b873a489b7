/** How fast and how large commands and an idle hub are, as installed: the built hub, beside a bare Node. */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { alternate, type Figure, sleep, type Suite } from "../figures.ts"
import { until } from "../hub.ts"
import { held } from "../processes.ts"
import { tables } from "../tables.ts"

const bin = fileURLToPath(new URL("../../hub/bin/agentlip.js", import.meta.url))
const within = 60_000
/** Until memory has settled after the start, in milliseconds. */
const settle = 2_000
/** The kernel counts processor time in ticks of 10 ms, so a figure is the mean of several runs. */
const batch = 5
const millisecondsOfTick = 10

/** Processor time from fields of `/proc/PID/stat`, counted from 1. */
const ticks = (pid: number | "self", fields: readonly [number, number]): number => {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
  // The second field is a name in parentheses, with any characters.
  const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields.reduce((sum, field) => sum + Number(rest[field - 3]), 0) * millisecondsOfTick
}

const ofItself = [14, 15] as const
const ofChildren = [16, 17] as const

interface Start {
  /** Milliseconds until it has ended, or until the hub is ready. */
  readonly wall: number
  /** Milliseconds of processor time until then. */
  readonly cpu: number
  readonly residentMB?: number
}

interface Ground {
  readonly env: NodeJS.ProcessEnv
  /** A workspace whose hub runs. */
  readonly served: string
  readonly workspaceOf: (plugins: number) => string
}

const command = (args: ReadonlyArray<string>, { env }: Ground): Start => {
  const [begin, before] = [performance.now(), ticks("self", ofChildren)]
  for (let run = 0; run < batch; run++) {
    const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" })
    if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
  }
  return {
    wall: (performance.now() - begin) / batch,
    cpu: (ticks("self", ofChildren) - before) / batch
  }
}

/** Starts a hub. It is ready when it has said which plugins it has loaded. */
const startHub = async (workspace: string, env: NodeJS.ProcessEnv) => {
  const begin = performance.now()
  const hub = spawn(process.execPath, [bin, "up", "--workspace", workspace], {
    env,
    stdio: ["ignore", "pipe", "inherit"]
  })
  const ended = new Promise((resolve) => hub.once("exit", resolve))
  let said = ""
  const ready = new Promise<number>((resolve) =>
    hub.stdout.on("data", (chunk) => {
      said += String(chunk)
      if (/^Plugins \(.*:\n(?:.*\n)*/m.test(said)) resolve(performance.now() - begin)
    })
  )
  const wall = await Promise.race([
    ready,
    ended.then(() => Promise.reject(new Error(`the hub did not start: ${said}`)))
  ])
  const pid = hub.pid ?? Number.NaN
  const stop = async (): Promise<void> => {
    hub.kill("SIGINT")
    await ended
  }
  return { pid, wall, cpu: ticks(pid, ofItself), said: () => said, stop }
}

const hub = async (plugins: number, { env, workspaceOf }: Ground): Promise<Start> => {
  const workspace = workspaceOf(plugins)
  const { pid, wall, cpu, said, stop } = await startHub(workspace, env)
  try {
    const loaded = said().match(/^ {2}ok {2}/gm)?.length ?? 0
    if (loaded !== plugins) throw new Error(`${loaded} of ${plugins} plugins have loaded: ${said()}`)
    await sleep(settle)
    const residentMB = ((held(pid)?.residentMiB ?? Number.NaN) * 1024 * 1024) / 1e6
    return { wall, cpu, residentMB }
  } finally {
    await stop()
    fs.rmSync(workspace, { recursive: true })
  }
}

interface Contender {
  readonly name: string
  readonly measure: (ground: Ground) => Start | Promise<Start>
}

const contenders: ReadonlyArray<Contender> = [
  { name: "bare node -e 0", measure: (ground) => command(["-e", "0"], ground) },
  { name: "command --version", measure: (ground) => command([bin, "--version"], ground) },
  { name: "command --help", measure: (ground) => command([bin, "--help"], ground) },
  {
    name: "command channel list",
    measure: (ground) => command([bin, "channel", "list", "-w", ground.served], ground)
  },
  { name: "hub, no plugins", measure: (ground) => hub(0, ground) },
  { name: "hub, 5 process plugins", measure: (ground) => hub(5, ground) }
]

const config = (plugins: number): string => {
  const linkifiers = Array.from({ length: plugins }, (_, index) => ({
    name: `plugin-${index}`,
    modulePath: "@agentlip/plugins/url-linkifier"
  }))
  return `export default ${JSON.stringify({ linkifiers })}\n`
}

export const start: Suite = async (scale) => {
  if (!fs.existsSync("/proc/self/stat")) return []
  if (!fs.existsSync(path.join(path.dirname(bin), "../dist/agentlip.js")))
    throw new Error("The hub is not built; run npm run build:all")
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-bench-"))
  const env = { ...process.env, XDG_CACHE_HOME: path.join(folder, "cache") }
  let made = 0
  const workspaceOf = (plugins: number): string => {
    const workspace = path.join(folder, `workspace-${made++}`)
    fs.mkdirSync(workspace)
    if (plugins > 0) fs.writeFileSync(path.join(workspace, "agentlip.config.ts"), config(plugins))
    return workspace
  }
  const served = workspaceOf(0)
  const server = await startHub(served, env)
  try {
    await until(
      "the hub's start",
      within,
      () => fs.existsSync(path.join(served, ".agentlip/server.json")) || undefined
    )
    const ground: Ground = { env, served, workspaceOf }
    // Node's compile cache is filled by the first start.
    for (const { measure } of contenders) await measure(ground)
    const measured = await alternate(scale, contenders, async ({ measure }) => measure(ground))
    return measured.flatMap(([{ name }, rounds]): ReadonlyArray<Figure> => {
      const figure = (table: string, unit: string, values: ReadonlyArray<number>): Figure => ({
        table,
        contender: name,
        unit,
        better: "less",
        rounds: values
      })
      const resident = rounds.flatMap(({ residentMB }) => (residentMB === undefined ? [] : [residentMB]))
      return [
        figure(
          tables.start,
          "ms",
          rounds.map(({ wall }) => wall)
        ),
        figure(
          tables.startCpu,
          "ms",
          rounds.map(({ cpu }) => cpu)
        ),
        ...(resident.length > 0 ? [figure(tables.startMemory, "MB", resident)] : [])
      ]
    })
  } finally {
    await server.stop()
    fs.rmSync(folder, { recursive: true })
  }
}
