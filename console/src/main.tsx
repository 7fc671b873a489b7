/** Starts the page. */
import "@preact/signals"
import { render } from "preact"
import { followLinks } from "./route.ts"
import { start, watchOtherTabs } from "./session.ts"
import { startDirectory } from "./state/directory.ts"
import { startLive } from "./state/live.ts"
import { App } from "./views/App.tsx"
import { hideCard } from "./views/FindingCard.tsx"

followLinks()
addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideCard()
})
// What the document shows until the script runs.
document.body.replaceChildren()
render(<App />, document.body)
await start()
watchOtherTabs()
startDirectory()
startLive()
