/**
 * Builds what tests start or serve: the guests' code, the page of the web console, and the hub as one file, which
 * starts in half the time of its sources. Only if a source has changed since.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Its time is that of the last build's start. */
const stamp = path.join(root, "node_modules", ".agentlip-built")

const builds = [
  // Types are for `npm run typecheck`: tests run without.
  ["npx", "tsc", "-p", "tsconfig.build.json", "--noCheck"],
  ["npm", "run", "--silent", "build:guest"],
  ["npm", "run", "--silent", "build:console"],
  ["npm", "run", "--silent", "build", "--workspace", "plugins"],
  ["npm", "run", "--silent", "build", "--workspace", "hub"]
] as const

const packages = ["", "protocol", "client", "plugins", "console", "hub"].map((name) => path.join(root, name))

/** Every source, and its folder, whose time changes with a file that is gone. */
const sources = (): ReadonlyArray<string> =>
  packages.flatMap((folder) => {
    const src = path.join(folder, "src")
    const inner = fs.readdirSync(src, { recursive: true, encoding: "utf8" })
    const settings = fs
      .readdirSync(folder)
      .filter((name) => /^(package|tsconfig.*|rolldown.*)\.(json|js)$/.test(name))
    return [
      src,
      ...inner.map((name) => path.join(src, name)),
      ...settings.map((name) => path.join(folder, name))
    ]
  })

export default (): void => {
  const built = fs.statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const outputs = [
    "dist/guest/node/loadThread.cjs",
    "dist/guest/node/bootThread.cjs",
    "dist/guest/node/bootProcess.cjs",
    "dist/guest/quickjs/bootWasm.js",
    "dist/guest/quickjs/realm.js",
    "console/dist",
    "hub/dist/agentlip.js"
  ].map((name) => path.join(root, name))
  const isBuilt = outputs.every((file) => fs.existsSync(file))
  if (isBuilt && sources().every((file) => fs.statSync(file).mtimeMs < built)) return
  const start = new Date()
  for (const [command, ...args] of builds) execFileSync(command, args, { cwd: root, stdio: "inherit" })
  fs.writeFileSync(stamp, "")
  fs.utimesSync(stamp, start, start)
}
