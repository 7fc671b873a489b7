/** A hub in a process of its own, for tests that kill it: `node crashingHub.ts WORKSPACE [DATABASE]`. */
import { NodeRuntime } from "@effect/platform-node"
import { extractor, linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { Layer, Redacted } from "effect"
import { fileURLToPath } from "node:url"
import * as Hub from "../src/Hub.ts"

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url))

/** Longer than any delay of a busy machine: here a plugin that fails is a violation. */
const timeout = "30 seconds"

const plugins = [
  makeSpec({ name: "shouts", kind: linkifier, modulePath: fixture("shouts"), isolation: "process", timeout }),
  makeSpec({ name: "tags", kind: extractor, modulePath: fixture("tags"), timeout })
]

const [, , workspace = ".", url] = process.argv
const database = url === undefined ? {} : { database: Redacted.make(url) }
const hub = { workspace, ...database, plugins, rateLimits: false } as const

Layer.launch(Hub.live(hub)).pipe(NodeRuntime.runMain)
