/** The whole page. */
import { useEffect, useRef } from "preact/hooks"
import { type Route, route } from "../route.ts"
import { access, signOut } from "../session.ts"
import { connection } from "../state/live.ts"
import { unreadCount } from "../state/directory.ts"
import { FindingCard, hideCard } from "./FindingCard.tsx"
import { Gate } from "./Gate.tsx"
import { Dialogs } from "./Dialogs.tsx"
import { EventsView } from "./EventsView.tsx"
import { HealthView } from "./HealthView.tsx"
import { JobsView } from "./JobsView.tsx"
import { MessagesView } from "./MessagesView.tsx"
import { PlaygroundView } from "./PlaygroundView.tsx"
import { PluginView } from "./PluginView.tsx"
import { PluginsView } from "./PluginsView.tsx"
import { SearchView } from "./SearchView.tsx"
import { tabs } from "./tabs.ts"

/** In a narrow window, not all views fit: the current one is scrolled into sight. */
const intoSight = (link: HTMLAnchorElement | null): void => {
  if (link?.getAttribute("aria-current") === "page")
    link.scrollIntoView({ block: "nearest", inline: "center" })
}

const Nav = ({ at }: { readonly at: Route["view"] }) => (
  <nav class="tabs" aria-label="Views">
    {tabs.map(({ view, path, title }) => (
      <a
        key={view}
        href={path}
        aria-current={view === at ? "page" : undefined}
        ref={(link) => intoSight(link)}
      >
        {title}
        {view === "messages" && unreadCount.value > 0 && (
          <span class="unread" role="img" aria-label="unread" />
        )}
      </a>
    ))}
  </nav>
)

const Banner = () => {
  const now = access.value
  if (connection.value === "lost") {
    return (
      <p class="banner warn" role="status">
        Connection lost. What you see may be old; reconnecting…
      </p>
    )
  }
  if (now.state !== "reading") return null
  return (
    <p class="banner" role="status">
      {now.problem !== undefined && <>{now.problem} </>}
      You can read. To post and to operate, run <code>agentlip open</code> in a terminal.
    </p>
  )
}

const View = ({ at }: { readonly at: Route }) => {
  switch (at.view) {
    case "messages":
      return <MessagesView {...at} />
    case "plugins":
      return at.plugin === undefined ? (
        <PluginsView />
      ) : (
        <PluginView key={`${at.plugin} ${at.message}`} name={at.plugin} message={at.message} />
      )
    case "playground":
      return <PlaygroundView plugin={at.plugin} message={at.message} />
    case "search":
      return <SearchView query={at.query} />
    case "jobs":
      return <JobsView />
    case "events":
      return <EventsView />
    case "health":
      return <HealthView />
    default:
      return (
        <section class="empty">
          <h1 id="view-title" tabIndex={-1}>
            Nothing is here
          </h1>
          <p>
            <a href="/ui">Go to the messages</a>
          </p>
        </section>
      )
  }
}

/** A new view has the focus at its heading, so that screen readers announce it. */
const useHeadingFocus = (at: Route): void => {
  const isFirst = useRef(true)
  const name = JSON.stringify({ ...at, message: undefined, query: undefined })
  useEffect(() => {
    hideCard()
    if (isFirst.current) {
      isFirst.current = false
      return
    }
    // The search has the focus in its field, and a message that the address names has it itself.
    if (at.view === "search" || (at.view === "messages" && at.message !== undefined)) return
    document.getElementById("view-title")?.focus()
  }, [name])
}

const Page = () => {
  const at = route.value
  useHeadingFocus(at)
  const now = access.value
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          document.getElementById("view-title")?.focus()
        }}
      >
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/ui" title={now.state === "signed-in" ? now.workspace : ""}>
          Agentlip
        </a>
        <Nav at={at.view} />
        <span class={`connection ${connection.value}`} role="status">
          <span class="dot" aria-hidden="true" />
          <span class="label">{connection.value === "open" ? "live" : connection.value}</span>
        </span>
        <Dialogs />
        {now.state === "signed-in" && (
          <button type="button" class="link" onClick={() => void signOut()}>
            Sign out
          </button>
        )}
      </header>
      <Banner />
      <main id="main">
        <View at={at} />
      </main>
      <FindingCard />
    </>
  )
}

export const App = () => {
  const now = access.value
  return now.state === "signed-in" || now.state === "reading" ? <Page /> : <Gate access={now} />
}
