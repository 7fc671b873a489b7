/**
 * Decides whether a plugin may request a URL, and which addresses it may connect to. Asked again for every
 * redirect.
 */
import { Effect } from "effect"
import type { LookupAddress } from "node:dns"
import { isIP } from "node:net"
import {
  entryFor,
  hostOf,
  literalOf,
  matches,
  type NetGrants,
  opensAddress,
  portOf
} from "../capabilities/net.ts"
import { addressKindOf } from "./addresses.ts"
import { codeOf, type FetchProblem, problem, ungranted } from "./problem.ts"
import type { Resolver } from "./resolve.ts"

/** The most addresses of one name to check and try. A server could list thousands. */
const maxAddresses = 32

/** Returns the addresses that a request for this URL may connect to. All of them have been checked. */
export type Gate = (url: URL) => Effect.Effect<ReadonlyArray<LookupAddress>, FetchProblem>

/** `host:port`, as messages name a target. */
export const targetOf = (url: URL): string => `${hostOf(url)}:${portOf(url)}`

/** Why an address is refused, if it is. */
const addressProblem = (grants: NetGrants, url: URL, address: string): FetchProblem | undefined => {
  const kind = addressKindOf(address)
  if (kind === "public") return undefined
  const isName = literalOf(hostOf(url)) === undefined
  const what = isName ? `${targetOf(url)} resolves to ${address}, which` : targetOf(url)
  if (kind === "unreachable") return problem(`${what} cannot be reached; name another host`)
  if (opensAddress(grants, url, address)) return undefined
  const bits = isIP(address) === 6 ? 128 : 32
  const entry = isName && hostOf(url) !== "localhost" ? `${address}/${bits}` : entryFor(url)
  return ungranted(`${what} is not a public address`, entry)
}

/**
 * Makes the gate of one plugin. With `audit`, hosts without a grant are allowed, but addresses that are not public
 * stay closed. Both are reported as the grant that would allow them.
 */
export const makeGate = (
  grants: NetGrants,
  resolve: Resolver,
  audit: ((what: string) => void) | undefined
): Gate =>
  Effect.fnUntraced(function* (url) {
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      return yield* problem(`${url.protocol} URLs cannot be fetched; use https: or http:`)
    }
    if (url.username !== "" || url.password !== "") {
      return yield* problem(
        `the URL for ${targetOf(url)} carries credentials; send an authorization header instead`
      )
    }
    if (!matches(grants, url)) {
      const entry = entryFor(url)
      if (audit === undefined) return yield* ungranted(`${targetOf(url)} is not granted`, entry)
      audit(entry)
    }
    const literal = literalOf(hostOf(url))
    const all =
      literal === undefined
        ? yield* Effect.tryPromise({
            try: (signal) => resolve(hostOf(url), signal),
            catch: (error) => problem(`${targetOf(url)} could not be resolved (${codeOf(error)})`)
          })
        : [{ address: literal, family: isIP(literal) }]
    const addresses = all.slice(0, maxAddresses)
    if (addresses.length === 0) return yield* problem(`${targetOf(url)} could not be resolved (no address)`)
    for (const { address } of addresses) {
      const refused = addressProblem(grants, url, address)
      if (refused === undefined) continue
      if (refused.grant !== undefined) audit?.(refused.grant)
      return yield* refused
    }
    return addresses
  })
