/**
 * The grammar of `grants.net`: which hosts and ports a plugin may reach, and to which private addresses granted names may
 * resolve.
 *
 * | entry | grants |
 * | --- | --- |
 * | `api.example.com` | that host, port 443 |
 * | `api.example.com:8443`, `api.example.com:*` | that host, that port or any |
 * | `*.example.com`, `*.example.com:80` | every name below it at any depth, not `example.com` itself |
 * | `10.1.2.3:8080`, `[::1]:8080`, `localhost:3000` | that address, private or not |
 * | `10.0.0.0/8`, `fd00::/8` | no host: names granted elsewhere may resolve into this range |
 *
 * Hosts are compared as the URL standard writes them: lower case, punycode, one form per address.
 */
import { Result } from "effect"
import { BlockList, isIP } from "node:net"
import { allPrepared, type PrepareError, unprepared } from "../PrepareError.ts"

export type Port = number | "*"

/** One entry of `grants.net`, parsed. */
export type NetEntry =
  | {
      readonly type: "host"
      readonly text: string
      readonly host: string
      readonly below: boolean
      readonly port: Port
    }
  | {
      readonly type: "range"
      readonly text: string
      readonly address: string
      readonly prefix: number
      readonly addresses: BlockList
    }

export type NetGrants = ReadonlyArray<NetEntry>

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

const familyOf = (address: string): "ipv4" | "ipv6" => (isIP(address) === 6 ? "ipv6" : "ipv4")

/** Whether an address is in a list, also as an IPv4 address that is written as an IPv6 one. */
export const isIn = (list: BlockList, address: string): boolean => list.check(address, familyOf(address))

/** A URL's host in the form of grants: without a trailing dot. */
export const hostOf = (url: URL): string => url.hostname.replace(/\.$/, "")

/** The address in a URL's host, without brackets; `undefined` if it is a name. */
export const literalOf = (host: string): string | undefined => {
  const bare = host.startsWith("[") ? host.slice(1, -1) : host
  return isIP(bare) === 0 ? undefined : bare
}

/** The port of a URL, or its default. */
export const portOf = (url: URL): number =>
  url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)

/** The entry that grants exactly this URL's host and port. */
export const entryFor = (url: URL): string => {
  const port = portOf(url)
  return port === 443 ? hostOf(url) : `${hostOf(url)}:${port}`
}

const normalHost = (host: string): string | undefined => {
  if (host.startsWith("[") ? isIP(host.slice(1, -1)) !== 6 : /[\s/?#@\\%*:[\]]/.test(host)) return undefined
  const url = URL.parse(`http://${host}/`)
  const normal = url === null ? "" : hostOf(url)
  return normal === "" ? undefined : normal
}

const parseRange = (text: string, place: string): Result.Result<NetEntry, PrepareError> => {
  const slash = text.indexOf("/")
  const address = text.slice(0, slash)
  const prefix = text.slice(slash + 1)
  const family = isIP(address)
  if (family === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) {
    return Result.fail(
      unprepared(
        `${place} "${text}" is neither a host nor a range of addresses`,
        'write a host without a path ("example.com:8080") or a range ("10.0.0.0/8")'
      )
    )
  }
  const addresses = new BlockList()
  addresses.addSubnet(address, Number(prefix), familyOf(address))
  return Result.succeed({ type: "range", text, address, prefix: Number(prefix), addresses })
}

const parsePort = (text: string | undefined): Port | undefined => {
  if (text === undefined) return 443
  if (text === "*") return text
  const port = Number(text)
  return port >= 1 && port <= 65_535 ? port : undefined
}

/** Parses one entry. `place` is where it stands, for errors. */
export const parseNetEntry = (text: string, place = "grants.net"): Result.Result<NetEntry, PrepareError> => {
  const wrong = (what: string, remedy: string): Result.Result<never, PrepareError> =>
    Result.fail(unprepared(`${place} "${text}" ${what}`, remedy))
  if (text.includes("://")) {
    const url = URL.parse(text)
    const entry = url === null || url.host === "" ? "" : `: "${entryFor(url)}"`
    return wrong("is a URL", `name its host and port only${entry}`)
  }
  if (text.includes("/")) return parseRange(text, place)
  if (isIP(text) === 6) return wrong("is an IPv6 address without brackets", `write "[${text}]:443"`)
  const parts = /^(\[[^[\]]*\]|[^:]*)(?::(\d{1,5}|\*))?$/.exec(text)
  const written = parts?.[1] ?? ""
  const port = parsePort(parts?.[2])
  if (parts === null || port === undefined) {
    return wrong("has no valid port", 'write a number from 1 to 65535 or *, as in "example.com:8080"')
  }
  if (written === "*") return wrong("would grant every host", 'name the hosts, as in "*.example.com"')
  const below = written.startsWith("*.")
  const host = normalHost(below ? written.slice(2) : written)
  if (host === undefined) {
    return wrong("is not a host", 'write "example.com", "*.example.com", "10.1.2.3:8080" or "[::1]:8080"')
  }
  if (below && literalOf(host) !== undefined)
    return wrong("puts a wildcard before an address", "name the address")
  if (host === "0.0.0.0" || host === "[::]") {
    return wrong("is an address that cannot be reached", `write "127.0.0.1${port === 443 ? "" : `:${port}`}"`)
  }
  return Result.succeed({ type: "host", text, host, below, port })
}

export const parseNetGrants = (
  texts: ReadonlyArray<string>,
  place?: string
): Result.Result<NetGrants, PrepareError> => allPrepared(texts.map((text) => parseNetEntry(text, place)))

const hasPort = (granted: Port, port: Port): boolean => granted === "*" || granted === port

const coversHost = (entry: NetEntry, host: string, port: Port): boolean =>
  entry.type === "host" &&
  hasPort(entry.port, port) &&
  (entry.below ? host.endsWith(`.${entry.host}`) : host === entry.host)

/** Whether a URL's host and port are granted. Does not look at the addresses of a name. */
export const matches = (grants: NetGrants, url: URL): boolean =>
  grants.some((entry) => coversHost(entry, hostOf(url), portOf(url)))

/** Whether the grants cover an entry: all of its hosts and ports, or all addresses of its range. */
export const covers = (granted: NetGrants, asked: NetEntry): boolean =>
  granted.some((entry) => {
    if (asked.type === "range") {
      return (
        entry.type === "range" &&
        isIP(entry.address) === isIP(asked.address) &&
        entry.prefix <= asked.prefix &&
        isIn(entry.addresses, asked.address)
      )
    }
    if (!asked.below) return coversHost(entry, asked.host, asked.port)
    return (
      entry.type === "host" &&
      entry.below &&
      hasPort(entry.port, asked.port) &&
      // With the dot in front, the same host and a host below it are one case.
      `.${asked.host}`.endsWith(`.${entry.host}`)
    )
  })

/** Whether an address that is not public is granted to requests for this URL. */
export const opensAddress = (grants: NetGrants, url: URL, address: string): boolean => {
  if (grants.some((entry) => entry.type === "range" && isIn(entry.addresses, address))) return true
  const host = hostOf(url)
  const own = literalOf(host) === address || (host === "localhost" && isIn(loopback, address))
  return own && matches(grants, url)
}
