/** The address of the page: which view it shows. */
import { signal } from "@preact/signals"

export type Route =
  | {
      readonly view: "messages"
      readonly channel?: string
      readonly topic?: string
      readonly message?: string
    }
  /** `message`: the run on this message is shown. */
  | { readonly view: "plugins"; readonly plugin?: string; readonly message?: string }
  | {
      readonly view: "playground"
      /** Empty: a file of the workspace. */
      readonly plugin?: string
      /** The message whose text is tried. */
      readonly message?: string
    }
  /** `query`: what is searched, as the parameters of an address. */
  | { readonly view: "search"; readonly query: string }
  | { readonly view: "jobs" }
  | { readonly view: "events" }
  | { readonly view: "health" }
  | { readonly view: "nothing" }

const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    // Not an address that this page has made.
    return segment
  }
}

const parse = ({ pathname, hash }: Pick<Location, "pathname" | "hash">): Route => {
  const [first = "", second = "", third = ""] = pathname.split("/").filter(Boolean).map(decoded)
  const message = hash.length > 1 ? { message: decoded(hash.slice(1)) } : {}
  // The rest of this address is the code of a link.
  if (first === "open") return { view: "messages" }
  if (first === "" || second === "") return { view: "messages", ...message }
  switch (second) {
    case "channels":
      return { view: "messages", ...(third === "" ? {} : { channel: third }), ...message }
    case "topics":
      return { view: "messages", ...(third === "" ? {} : { topic: third }), ...message }
    case "plugins":
      return { view: "plugins", ...(third === "" ? {} : { plugin: third }), ...message }
    case "playground":
      return {
        view: "playground",
        ...(third === "" ? {} : { plugin: third }),
        ...message
      }
    case "module":
      return { view: "playground", plugin: "", ...message }
    case "search":
      return { view: "search", query: hash.slice(1) }
    case "jobs":
      return { view: "jobs" }
    case "events":
      return { view: "events" }
    case "health":
      return { view: "health" }
    default:
      return { view: "nothing" }
  }
}

export const route = signal<Route>(parse(location))

export const pathOf = {
  channel: (id: string) => `/ui/channels/${encodeURIComponent(id)}`,
  topic: (id: string) => `/ui/topics/${encodeURIComponent(id)}`,
  message: (topic: string, id: string) => `/ui/topics/${encodeURIComponent(topic)}#${encodeURIComponent(id)}`,
  search: (fields: Readonly<Record<string, string>>) => `/ui/search#${String(new URLSearchParams(fields))}`,
  plugin: (name: string) => `/ui/plugins/${encodeURIComponent(name)}`,
  run: (plugin: string, message: string) =>
    `/ui/plugins/${encodeURIComponent(plugin)}#${encodeURIComponent(message)}`,
  playground: (plugin: string, message?: string) =>
    `/ui/playground/${encodeURIComponent(plugin)}${message === undefined ? "" : `#${encodeURIComponent(message)}`}`,
  playgroundFile: "/ui/module"
}

const update = (): void => {
  route.value = parse(location)
}

/** Shows another view. `replace` leaves no step in the history. */
export const go = (path: string, { replace = false } = {}): void => {
  if (replace) history.replaceState(null, "", path)
  else history.pushState(null, "", path)
  update()
}

/** A click that opens a link in this tab. */
const isPlain = (event: MouseEvent): boolean =>
  event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey

/** Follows links between views without loading the page again. */
export const followLinks = (): void => {
  addEventListener("popstate", update)
  addEventListener("hashchange", update)
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || !isPlain(event) || !(event.target instanceof Element)) return
    const link = event.target.closest("a")
    if (link === null || link.target !== "" || link.origin !== location.origin) return
    event.preventDefault()
    go(link.pathname + link.hash)
  })
}
