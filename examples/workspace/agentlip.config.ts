// The operator's own code, read at the start and again when it changes. A type import only: it is gone when this file runs.
import type { AgentlipConfig } from "@agentlip/plugin-runtime"

// Each plugin runs in a process of its own, may reach nothing, and has 5 seconds for a message: unless it says
// otherwise, as `todos` does of its time.
export default {
  linkifiers: [
    { name: "urls", modulePath: "@agentlip/plugins/url-linkifier" },
    { name: "mentions", modulePath: "@agentlip/plugins/mention-linkifier" },
    {
      name: "references",
      modulePath: "@agentlip/plugins/reference-linkifier",
      config: { baseUrl: "https://github.com", repository: "nodejs/node" }
    }
  ],
  extractors: [
    { name: "links", modulePath: "@agentlip/plugins/url-extractor" },
    { name: "todos", modulePath: "./plugins/todos.ts", timeout: "2 seconds" }
  ]
} satisfies AgentlipConfig
