// The operator's own code, read once at start-up. A type import only: it is gone when this file runs.
import type { AgentlipConfig } from "@agentlip/plugin-runtime"

// `npm run demo -- --rogues` sets it; so can you, in front of `npm start`.
const rogues = process.env["AGENTLIP_EXAMPLE_ROGUES"] === "1"

export default {
  linkifiers: [
    { name: "urls", modulePath: "@agentlip/plugins/url-linkifier" },
    { name: "mentions", modulePath: "@agentlip/plugins/mention-linkifier" },
    {
      name: "references",
      modulePath: "@agentlip/plugins/reference-linkifier",
      config: { baseUrl: "https://github.com", repository: "nodejs/node" }
    },
    {
      // Never answers. Enabled, every message shows TIMEOUT after one second, then CIRCUIT_OPEN once it has
      // happened three times, then one probe a minute; the other plugins' results come as if it were not there.
      name: "hangs",
      modulePath: "./plugins/hangs.ts",
      timeout: "1 second",
      enabled: rogues
    }
  ],
  extractors: [
    { name: "links", modulePath: "@agentlip/plugins/url-extractor" },
    { name: "todos", modulePath: "./plugins/todos.ts", timeout: "2 seconds" },
    {
      // Dies where no try/catch could help. Enabled, every message shows WORKER_CRASH, then CIRCUIT_OPEN; the
      // hub and the other plugins go on. It may try again sooner than most.
      name: "crashes",
      modulePath: "./plugins/crashes.ts",
      breaker: { cooldown: "20 seconds" },
      enabled: rogues
    }
  ]
} satisfies AgentlipConfig
