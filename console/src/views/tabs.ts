/** The views that the page leads to. */
import type { Route } from "../route.ts"

export const tabs: ReadonlyArray<{
  readonly view: Route["view"]
  readonly path: string
  readonly title: string
}> = [
  { view: "messages", path: "/ui", title: "Messages" },
  { view: "search", path: "/ui/search", title: "Search" },
  { view: "plugins", path: "/ui/plugins", title: "Plugins" },
  { view: "playground", path: "/ui/playground", title: "Playground" },
  { view: "jobs", path: "/ui/jobs", title: "Jobs" },
  { view: "events", path: "/ui/events", title: "Events" },
  { view: "health", path: "/ui/health", title: "Health" }
]
