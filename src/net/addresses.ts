/** Tells public Internet addresses from all others. */
import { BlockList, isIP } from "node:net"
import { isIn } from "../capabilities/net.ts"

const listOf = (ranges: ReadonlyArray<string>): BlockList => {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = "", prefix] = range.split("/")
    list.addSubnet(address, Number(prefix), isIP(address) === 6 ? "ipv6" : "ipv4")
  }
  return list
}

/** Unspecified, multicast and broadcast addresses. They are refused whatever is granted. */
const unreachable = listOf(["0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8"])

const nonPublicV4 = listOf([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10", // carriers' NAT
  "127.0.0.0/8",
  "169.254.0.0/16", // link-local, with the clouds' metadata services
  "172.16.0.0/12",
  "192.0.0.0/24", // protocol assignments
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays
  "192.168.0.0/16",
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4"
])

// The only range of public IPv6 addresses. NAT64, IPv4-mapped, unique-local and others are outside.
const globalV6 = listOf(["2000::/3"])
const nonPublicV6 = listOf([
  "2001::/23", // protocol assignments, Teredo among them
  "2001:db8::/32", // documentation
  "2002::/16", // 6to4: an IPv4 address of any kind in disguise
  "3fff::/20"
])

export type AddressKind = "public" | "private" | "unreachable"

/** The kind of an address. Text that is not an address is "unreachable". */
export const addressKindOf = (address: string): AddressKind => {
  const family = isIP(address)
  if (family === 0 || isIn(unreachable, address)) return "unreachable"
  if (family === 4) return isIn(nonPublicV4, address) ? "private" : "public"
  return isIn(globalV6, address) && !isIn(nonPublicV6, address) ? "public" : "private"
}
