/**
 * What rogues are after: a workspace with a hub's secret, a server on this machine, a variable in the host's
 * environment, a file the host has open. `harm` says what became of it.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { makeHostileModules, numerousFolders } from "./hostileModules.ts"

const fixtures = fileURLToPath(new URL("../fixtures/rogues/", import.meta.url))

const secrets = {
  token: "token-0f6b1c7e",
  outside: "outside-7d21aa90",
  environment: "environment-c4e8f213",
  descriptor: "descriptor-93b5d6f8"
}

export interface World {
  readonly plugins: string
  /** A folder of things that are no files. */
  readonly pipes: string
  /** `host:port` of the server that rogues are granted, if they are granted any. */
  readonly bait: string
  /** What every rogue is told, as its config. */
  readonly config: Readonly<Record<string, unknown>>
  /** Secrets of the world that occur in a text. */
  readonly leaks: (text: string) => ReadonlyArray<string>
  /** Puts things back in their places. */
  readonly restore: () => void
  /** What has been done to the world since the last look. */
  readonly damage: () => ReadonlyArray<string>
  readonly close: () => Promise<void>
}

const isNumerous = (name: string): boolean => numerousFolders.some((folder) => folder === name)

/**
 * Every file below a folder and what would show a change of it; links are not followed: some lead back up. Of a folder
 * of thousands of files only what comes and goes in it shows.
 */
const listing = (folder: string): Set<string> => {
  const found = new Set<string>()
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name)
    if (entry.isDirectory() && !isNumerous(entry.name)) for (const inner of listing(file)) found.add(inner)
    if (!entry.isFile() && !isNumerous(entry.name)) continue
    const { size, mode, mtimeMs } = fs.statSync(file)
    found.add(`${file} ${size} ${mode} ${mtimeMs}`)
  }
  return found
}

/** Folders that can be granted, beside others that begin like them. */
const makeGranted = (folder: string): void => {
  const own = ["*", "*/inner", "a", "a*", "a*b", "abc/d", "north-1", "north-2", "north-11", "w", "w*"]
  const others = ["ab", "abc", "abc/de", "axx", "north", "north-", "north-3", "north-10", "w-other"]
  for (const [names, file, text] of [
    [own, "own.txt", "own"],
    [others, "secret.json", secrets.outside]
  ] as const) {
    for (const name of names) {
      fs.mkdirSync(path.join(folder, name), { recursive: true })
      fs.writeFileSync(path.join(folder, name, file), text)
    }
  }
  for (const file of ["a.json", "w.json", "beside.json"])
    fs.writeFileSync(path.join(folder, file), secrets.outside)
  fs.writeFileSync(path.join(folder, "notes*.json"), "own")
  fs.symlinkSync("a*", path.join(folder, "linked-asterisk"))
  // What holds is to be the permissions of Node, not those of the system.
  for (const name of ["", "w", "w*", "w-other", "w.json", "w/own.txt"])
    fs.chmodSync(path.join(folder, name), 0o777)
}

/** Makes one; rogues lie in `<workspace>/plugins`, with links to what is none of theirs beside them. */
export const makeWorld = async (): Promise<World> => {
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "zoo-")))
  // Nothing is to be held back by the mere luck of who may look into a folder of root's.
  fs.chmodSync(root, 0o755)
  const workspace = path.join(root, "workspace")
  const plugins = path.join(workspace, "plugins")
  const token = path.join(workspace, ".agentlip", "server.json")
  const outside = path.join(workspace, "outside.json")
  fs.mkdirSync(path.dirname(token), { recursive: true })
  const plant = path.join(root, "planted")
  const elsewhere = `${root}-planted`
  const restore = (): void => {
    fs.rmSync(plant, { recursive: true, force: true })
    fs.writeFileSync(token, JSON.stringify({ auth_token: secrets.token }))
    fs.writeFileSync(outside, JSON.stringify({ secret: secrets.outside }))
  }
  restore()
  fs.writeFileSync(
    path.join(workspace, "package.json"),
    JSON.stringify({ name: "workspace", type: "module" })
  )
  fs.cpSync(fixtures, plugins, { recursive: true })
  makeHostileModules(path.join(plugins, "hostile"), outside)
  fs.symlinkSync(token, path.join(plugins, "linked-server.json"))
  fs.symlinkSync(path.dirname(token), path.join(plugins, "linked-folder"))
  fs.symlinkSync(outside, path.join(plugins, "linked-outside.json"))
  makeGranted(path.join(workspace, "granted"))
  fs.mkdirSync(path.join(plugins, "node_modules"))
  fs.symlinkSync(workspace, path.join(plugins, "node_modules", "escape"))

  // Whoever guests run as, they may use what is in there.
  const pipes = path.join(workspace, "pipes")
  fs.mkdirSync(pipes)
  execFileSync("mkfifo", [path.join(pipes, "pipe")])
  for (const file of [pipes, path.join(pipes, "pipe")]) fs.chmodSync(file, 0o777)
  const socket = net.createServer().listen(path.join(pipes, "socket"))

  // Open in the host for as long as the world stands, as a hub's database is.
  const database = path.join(workspace, ".agentlip", "database")
  fs.writeFileSync(database, secrets.descriptor)
  const descriptor = fs.openSync(database, "r+")
  process.env.ZOO_SECRET = secrets.environment

  let connections = 0
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => socket.destroy())
    socket.end("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0

  const bait = new Worker(new URL("./bait.ts", import.meta.url), { workerData: { trap: port } })
  const baitPort = await new Promise<number>((resolve, reject) => {
    bait.once("message", resolve)
    bait.once("error", reject)
  })

  let seen = listing(root)
  return {
    plugins,
    pipes,
    bait: `127.0.0.1:${baitPort}`,
    config: {
      token,
      outside,
      workspace,
      database,
      descriptor,
      plant,
      pipes,
      elsewhere,
      port,
      bait: baitPort,
      pid: process.pid,
      cwd: process.cwd()
    },
    restore,
    leaks: (text) =>
      Object.entries(secrets).flatMap(([name, secret]) => (text.includes(secret) ? [name] : [])),
    damage: () => {
      const now = listing(root)
      const before = seen
      const changed = [
        ...[...now].filter((file) => !before.has(file)),
        ...[...before].filter((file) => !now.has(file))
      ]
      const planted = fs.existsSync(elsewhere) ? [elsewhere] : []
      const made = connections
      seen = now
      connections = 0
      fs.rmSync(elsewhere, { force: true })
      return [
        ...changed.map((file) => `file: ${file}`),
        ...planted,
        ...(made > 0 ? [`${made} connections`] : [])
      ]
    },
    close: async () => {
      delete process.env.ZOO_SECRET
      fs.closeSync(descriptor)
      socket.close()
      for (const socket of sockets) socket.destroy()
      await bait.terminate()
      await new Promise((resolve) => server.close(resolve))
      fs.rmSync(root, { recursive: true, force: true })
    }
  }
}
