#!/usr/bin/env node
// The command `agentlip`. An old Node can read this file too, and is told which one is needed.
import { readFileSync } from "node:fs"
import * as Module from "node:module"
import { homedir } from "node:os"
import { join } from "node:path"

const { engines, version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"))

const compare = (one, other) => {
  const [a, b] = [one, other].map((text) => text.split(".").map(Number))
  return a[0] - b[0] || a[1] - (b[1] || 0) || a[2] - (b[2] || 0)
}

/** Whether this Node is in a range such as ">=24.20.0 <25 || >=26.5.1". */
const isIn = (range) =>
  range.split("||").some((part) =>
    part
      .trim()
      .split(/\s+/)
      .every((bound) => {
        const difference = compare(process.versions.node, bound.replace(/^\D+/, ""))
        return bound.startsWith("<") ? difference < 0 : difference >= 0
      })
  )

if (process.argv.length === 3 && process.argv[2] === "--version") {
  process.stdout.write(`agentlip v${version}\n`)
} else if (process.versions.bun === undefined && !isIn(engines.node)) {
  process.stderr.write(
    `agentlip needs Node ${engines.node}, and this is Node ${process.versions.node}. Install Node 26.\n`
  )
  process.exitCode = 1
} else {
  // A folder of the user's own: whoever can write to a cache of code can run code.
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache")
  if (process.env.NODE_COMPILE_CACHE === undefined && Module.enableCompileCache !== undefined) {
    Module.enableCompileCache(join(cache, "agentlip"))
  }
  import("../dist/agentlip.js")
}
