/** Rogues that misuse the network that they are given, or look for another. */
import { files, type Harm, type Rogue } from "./rogue.ts"

const baited: Pick<Rogue, "grants"> = { grants: ({ bait }) => ({ net: [bait] }) }
const slow = 700

/** Their servers answer with what costs most to take; the routes are in bait.ts. */
const flooded = (
  route: string,
  harm: Rogue["harm"],
  { config, ...more }: Partial<Omit<Rogue, "name" | "file" | "harm">> = {}
): Rogue => ({
  name: `net-flooded: ${route}`,
  file: "net-flooded.ts",
  config: { route, ...config },
  ...baited,
  expect: "OK",
  // Half a second for each of two runs is their budget; collecting what they leave comes on top, more on a slow machine.
  hostTime: 3_000,
  harm,
  ...more
})

/** On a busy machine its host hangs; on another, Node's own fetch comes to its limit of headers first. */
const givesUp: Harm = { none: "Node's own fetch gives up at its limit of headers" }

export const network: ReadonlyArray<Rogue> = [
  ...files("ts", { expect: "OK", hostTime: 1_500, harm: "connects" }, [
    "net-fetch-addresses",
    "net-fetch-flood"
  ]),
  ...files(
    "ts",
    { expect: "OK", harm: { none: "Node's own fetch knows few schemes; it asks all the same" } },
    ["net-fetch-schemes"]
  ),
  ...files("ts", { ...baited, expect: "OK", harm: "connects" }, ["net-fetch-redirect", "net-fetch-shifting"]),
  ...files("ts", { ...baited, expect: "OK", harm: { none: "Node's own fetch lets few of them through" } }, [
    "net-fetch-headers",
    "net-fetch-bodies"
  ]),
  ...files(
    "ts",
    {
      ...baited,
      expect: "OK",
      says: /limits\.fetchBytes/,
      limits: { fetchBytes: 2_000_000 },
      hostTime: 1_500,
      harm: "grows"
    },
    ["net-fetch-endless", "net-fetch-bomb"]
  ),
  ...files("ts", { ...baited, expect: "OK", harm: { none: "its host's memory is what it would fill" } }, [
    "net-fetch-unread"
  ]),
  ...files("ts", { ...baited, expect: "TIMEOUT", timeout: slow, hostTime: 1_500, harm: "hangs" }, [
    "net-fetch-silent",
    "net-fetch-queue"
  ]),
  ...files("ts", { ...baited, expect: "EXECUTION_ERROR", says: /request body is over/, harm: "hangs" }, [
    "net-fetch-upload"
  ]),
  flooded("/hints", "hangs"),
  flooded("/crumbs", "hangs"),
  flooded("/extensions", "hangs"),
  flooded("/burdened", givesUp),
  flooded("/continues", { none: "Node's own fetch takes no 100 that it did not ask for" }),
  flooded("/trailers", givesUp),
  flooded("/head", givesUp),
  flooded("/brotli", "reaches"),
  flooded("/drip", "hangs", { expect: "TIMEOUT", timeout: slow }),
  flooded("/deaf", "hangs", { expect: "TIMEOUT", timeout: slow, config: { upload: true } }),
  ...files("ts", { ...baited, expect: "OK", hostTime: 1_500, harm: "hangs" }, ["net-fetch-messages"])
]
