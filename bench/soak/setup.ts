/** The hub that is soaked: shipped plugins, some that misbehave now and then, two that always do. */
import { fileURLToPath } from "node:url"
import type { HubSetup } from "../hub.ts"

/** Words that set the erratic plugin of that name off. */
export const deeds = [
  "hangs",
  "waits",
  "crashes",
  "exits",
  "floods",
  "garbage",
  "hoards",
  "fetches",
  "timers"
] as const

/** Their circuits are open nearly all the time, and what waits behind them grows with each message. */
export const alwaysBad: ReadonlyArray<string> = ["spins", "always-crashes"]

const entry = (name: string, file = name): object => ({ name, modulePath: `./plugins/${file}.ts` })

/** `heldFile` is where it writes what it holds when it is asked: see heldMemory.ts. */
export const setup = (log: string, heldFile: string): HubSetup => ({
  config: {
    linkifiers: [
      entry("url-linkifier"),
      entry("mention-linkifier"),
      ...deeds.map((deed) => ({
        ...entry(deed, "erratic"),
        config: { deed },
        timeout: "1 second",
        // The circuit is to open at times, and to close again while somebody looks.
        breaker: { failureThreshold: 3, cooldown: "10 seconds" }
      })),
      { ...entry("spins"), timeout: "1 second" }
    ],
    extractors: [entry("url-extractor"), entry("always-crashes", "crashes")]
  },
  files: [
    new URL("plugins/erratic.ts", import.meta.url),
    new URL("../../examples/hostile/spins.ts", import.meta.url),
    new URL("../../examples/hostile/crashes.ts", import.meta.url)
  ],
  nodeFlags: ["--expose-gc", "--import", fileURLToPath(new URL("heldMemory.ts", import.meta.url))],
  env: { SOAK_HELD: heldFile },
  log
})
