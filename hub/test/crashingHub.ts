/** A hub in a process of its own, for tests that kill it: `node crashingHub.ts WORKSPACE`. */
import { NodeRuntime } from "@effect/platform-node"
import { extractor, linkifier, makeSpec } from "@agentlip/plugin-runtime"
import { Layer } from "effect"
import { fileURLToPath } from "node:url"
import * as Hub from "../src/Hub.ts"

const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url))

const plugins = [
  makeSpec({ name: "shouts", kind: linkifier, modulePath: fixture("shouts") }),
  makeSpec({ name: "tags", kind: extractor, modulePath: fixture("tags") })
]

const hub = { workspace: process.argv[2] ?? ".", plugins, rateLimits: false } as const

Layer.launch(Hub.live(hub)).pipe(NodeRuntime.runMain)
