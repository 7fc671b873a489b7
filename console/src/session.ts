/** The browser's session with the hub, and the client that uses it. */
import { HubError, makeHubClient } from "@agentlip/client"
import { signal } from "@preact/signals"
import { forget, isNamed, recall, remember } from "./storage.ts"

/**
 * What this page may do. `reading`: the hub's reads are open, and this browser has no session. `locked`: reads need a
 * session too.
 */
export type Access =
  | { readonly state: "checking" }
  | { readonly state: "signed-in"; readonly user: string; readonly workspace: string }
  | { readonly state: "reading"; readonly problem: string | undefined }
  | { readonly state: "locked"; readonly problem: string | undefined }
  | { readonly state: "unreachable" }

export const access = signal<Access>({ state: "checking" })

/** Half of the session; the other half is an HttpOnly cookie. Neither is worth anything alone. */
let key = recall("session")

const withSession: typeof fetch = (input, init) => {
  const headers = new Headers(init?.headers)
  if (key !== undefined) headers.set("authorization", `Session ${key}`)
  return fetch(input, { ...init, headers, credentials: "same-origin", cache: "no-store" })
}

/** Calls this page's own hub. */
export const hub = makeHubClient(() => ({ url: "" }), { fetch: withSession })

/** Reads a text of this hub that is no JSON. */
export const readText = async (path: string): Promise<string> => {
  const response = await withSession(path)
  if (!response.ok) throw new Error(`The hub returned status ${response.status}.`)
  return response.text()
}

export const isSignedIn = (): boolean => access.value.state === "signed-in"

/** The path of a file in the hub's workspace from there; of other files, the whole path. */
export const pathInWorkspace = (file: string): string => {
  const { value } = access
  const root = value.state === "signed-in" ? `${value.workspace}/` : undefined
  return root !== undefined && file.startsWith(root) ? file.slice(root.length) : file
}

/** The text of an error, for people. */
export const textOf = (error: unknown): string => {
  const isTimeout = error instanceof DOMException && error.name === "TimeoutError"
  if (isTimeout || (error instanceof HubError && error.code === "UNREACHABLE")) {
    return "The hub does not respond."
  }
  return error instanceof Error ? error.message : String(error)
}

const isRefusal = (error: unknown): boolean => error instanceof HubError && error.status === 401

/** Uses up the code of a link, and removes it from the address. */
const signIn = async (code: string): Promise<string | undefined> => {
  history.replaceState(null, "", "/")
  key = undefined
  try {
    const session = await hub.signIn({ payload: { code } })
    key = session.key
    remember("session", key)
    return undefined
  } catch (error) {
    // The link was used before, perhaps by this browser: then its session still works.
    key = recall("session")
    return textOf(error)
  }
}

const check = async (problem: string | undefined): Promise<void> => {
  try {
    access.value = { state: "signed-in", ...(await hub.session()) }
    return
  } catch (error) {
    if (!isRefusal(error)) {
      access.value = { state: "unreachable" }
      return
    }
  }
  const hadSession = key !== undefined
  key = undefined
  forget("session")
  const why = problem ?? (hadSession ? "Your session has ended. It ends with the hub." : undefined)
  try {
    await hub.channels({ query: { limit: 1 } })
    access.value = { state: "reading", problem: why }
  } catch (error) {
    access.value = isRefusal(error) ? { state: "locked", problem: why } : { state: "unreachable" }
  }
}

/** Signs in if the address is a link of `agentlip open`, and finds out what this page may do. */
export const start = async (): Promise<void> => {
  const code = location.hash.slice(1)
  await check(location.pathname === "/open" && code !== "" ? await signIn(code) : undefined)
}

/** Another tab has signed in or out. */
export const watchOtherTabs = (): void =>
  addEventListener("storage", (event) => {
    if (!isNamed(event.key, "session")) return
    key = recall("session")
    void check(undefined)
  })

/** Asks again, after the hub was away or has refused something. */
export const recheck = (): Promise<void> => check(undefined)

export const signOut = async (): Promise<void> => {
  await hub.signOut()
  key = undefined
  forget("session")
  location.assign("/")
}

/** Runs a change. A refusal shows at once that the session has ended. */
export const changing = async <A>(change: () => Promise<A>): Promise<A> => {
  try {
    return await change()
  } catch (error) {
    if (isRefusal(error)) await recheck()
    throw error
  }
}
