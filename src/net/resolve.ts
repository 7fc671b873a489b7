/**
 * Finds the addresses of a name: first in the hosts file, then from the system's name servers. `dns.lookup` would
 * wait in the thread pool that the whole process shares, and cannot be cancelled. These look-ups have their own
 * sockets and can be cancelled.
 */
import type { LookupAddress } from "node:dns"
import { Resolver as NameServers } from "node:dns/promises"
import * as fs from "node:fs"
import { isIP } from "node:net"
import * as path from "node:path"

/** Returns all addresses of a name. Stops when the signal is aborted. */
export type Resolver = (host: string, signal: AbortSignal) => Promise<ReadonlyArray<LookupAddress>>

export interface ResolverOptions {
  /** Default: the system's. */
  readonly nameServers?: ReadonlyArray<string>
  /** Default: the system's. */
  readonly hostsFile?: string
  /** The file that defines `search` and `ndots`. Default: `/etc/resolv.conf`. */
  readonly resolverFile?: string
}

const systemHosts =
  process.platform === "win32"
    ? path.join(process.env["SystemRoot"] ?? "C:\\Windows", "System32", "drivers", "etc", "hosts")
    : "/etc/hosts"

const loopback: ReadonlyArray<LookupAddress> = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 }
]

/** The text of a system file, read again when it changes; empty if the file does not exist. */
const cachedText = (file: string): (() => string) => {
  let text = ""
  let state = ""
  return () => {
    try {
      const { mtimeMs, size } = fs.statSync(file)
      const now = `${mtimeMs} ${size}`
      if (now !== state) {
        text = fs.readFileSync(file, "utf8").toLowerCase()
        state = now
      }
    } catch {
      // The system may not have this file.
      text = state = ""
    }
    return text
  }
}

/** A name's addresses in a hosts file. The file may be long, so only lines that contain the name are parsed. */
const inHosts = (text: string, name: string): ReadonlyArray<LookupAddress> => {
  const found: Array<LookupAddress> = []
  for (let at = text.indexOf(name); at >= 0; ) {
    const from = text.lastIndexOf("\n", at) + 1
    const end = text.indexOf("\n", at)
    const to = end < 0 ? text.length : end
    const [address = "", ...names] = (text.slice(from, to).split("#")[0] ?? "").trim().split(/\s+/)
    const family = isIP(address)
    if (family !== 0 && names.includes(name)) found.push({ address, family })
    at = text.indexOf(name, to)
  }
  return found
}

/** The names to look up, in order, as resolv.conf(5) defines. */
const candidates = (text: string, name: string): ReadonlyArray<string> => {
  let search: ReadonlyArray<string> = []
  let ndots = 1
  for (const line of text.split("\n")) {
    const [key, ...values] = line.trim().split(/\s+/)
    if (key === "search" || key === "domain") search = values.slice(0, 6)
    if (key === "options") ndots = Number(/ndots:(\d+)/.exec(line)?.[1] ?? ndots)
  }
  const searched = search.map((domain) => `${name}.${domain.replace(/\.$/, "")}`)
  return name.split(".").length - 1 >= ndots ? [name, ...searched] : [...searched, name]
}

const codeIn = (error: unknown): unknown => (error instanceof Error ? Reflect.get(error, "code") : undefined)

/** Whether a server replied that there is no such name or address. Then the next candidate is tried. */
const isNothing = (error: unknown): boolean => codeIn(error) === "ENOTFOUND" || codeIn(error) === "ENODATA"

const askFor = async (servers: NameServers, name: string): Promise<ReadonlyArray<LookupAddress>> => {
  const [v4, v6] = await Promise.allSettled([servers.resolve4(name), servers.resolve6(name)])
  const found = [
    ...(v4.status === "fulfilled" ? v4.value.map((address) => ({ address, family: 4 })) : []),
    ...(v6.status === "fulfilled" ? v6.value.map((address) => ({ address, family: 6 })) : [])
  ]
  if (found.length === 0 && v4.status === "rejected") throw v4.reason
  return found
}

export const makeResolver = (options: ResolverOptions = {}): Resolver => {
  const hosts = cachedText(options.hostsFile ?? systemHosts)
  const settings = cachedText(options.resolverFile ?? "/etc/resolv.conf")
  return async (host, signal) => {
    const name = host.toLowerCase()
    const listed = inHosts(hosts(), name)
    if (listed.length > 0) return listed
    // RFC 6761: these names must not be sent to a server.
    if (name === "localhost" || name.endsWith(".localhost")) return loopback
    signal.throwIfAborted()
    const servers = new NameServers({ timeout: 2_000, tries: 3 })
    if (options.nameServers !== undefined) servers.setServers(options.nameServers)
    const cancel = (): void => servers.cancel()
    signal.addEventListener("abort", cancel)
    try {
      let last: unknown
      for (const candidate of candidates(settings(), name)) {
        try {
          return await askFor(servers, candidate)
        } catch (error) {
          if (signal.aborted || !isNothing(error)) throw error
          last = error
        }
      }
      throw last
    } finally {
      signal.removeEventListener("abort", cancel)
    }
  }
}

export const systemResolver: Resolver = makeResolver()
