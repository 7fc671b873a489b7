/** The grammar of `grants.net`. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  covers,
  matches,
  type NetEntry,
  opensAddress,
  parseNetEntry,
  parseNetGrants
} from "../../src/capabilities/net.ts"
import { addressKindOf } from "../../src/net/addresses.ts"

const grants = (...texts: ReadonlyArray<string>): ReadonlyArray<NetEntry> =>
  Result.getOrThrow(parseNetGrants(texts))
const allows = (texts: ReadonlyArray<string>, url: string): boolean => matches(grants(...texts), new URL(url))

describe("matches", () => {
  it.each([
    ["example.com", "https://example.com/a?b", true],
    ["example.com", "https://EXAMPLE.com./", true],
    ["EXAMPLE.com.", "https://example.com/", true],
    ["example.com", "http://example.com:443/", true],
    ["example.com", "http://example.com/", false],
    ["example.com", "https://example.com:8443/", false],
    ["example.com", "https://www.example.com/", false],
    ["example.com", "https://notexample.com/", false],
    ["example.com", "https://example.com.evil.test/", false],
    ["example.com:80", "http://example.com/", true],
    ["example.com:8080", "https://example.com:8080/", true],
    ["example.com:*", "http://example.com:1234/", true],
    ["example.com:*", "http://other.com:1234/", false],
    ["*.example.com", "https://a.example.com/", true],
    ["*.example.com", "https://a.b.example.com/", true],
    ["*.example.com", "https://example.com/", false],
    ["*.example.com", "https://badexample.com/", false],
    ["*.example.com", "http://a.example.com/", false],
    ["*.example.com:80", "http://a.example.com/", true],
    ["bücher.example", "https://xn--bcher-kva.example/", true],
    ["xn--bcher-kva.example", "https://BÜCHER.example/", true],
    ["127.0.0.1:8080", "http://127.0.0.1:8080/", true],
    ["127.0.0.1:8080", "http://0x7f.1:8080/", true],
    ["127.0.0.1:8080", "http://0177.0.0.1:8080/", true],
    ["127.0.0.1:8080", "http://2130706433:8080/", true],
    ["0x7f.1:8080", "http://127.0.0.1:8080/", true],
    ["127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080/", false],
    ["127.0.0.1:8080", "http://localhost:8080/", false],
    ["[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/", true],
    ["[::1]", "https://[::1]/", true],
    ["localhost:3000", "http://localhost:3000/", true],
    ["10.0.0.0/8", "http://10.0.0.1:443/", false],
    ["0.0.0.0/0", "https://example.com/", false]
  ])("%s and %s: %s", (grant, url, expected) => assert.strictEqual(allows([grant], url), expected))

  it("matches any of several entries", () => {
    assert.isTrue(allows(["a.test", "b.test:80"], "http://b.test/"))
    assert.isFalse(allows(["a.test", "b.test:80"], "http://a.test/"))
    assert.isFalse(allows([], "https://a.test/"))
  })
})

describe("a wrong entry", () => {
  it.each([
    ["https://api.example.com/v1", 'is a URL; name its host and port only: "api.example.com"'],
    ["http://api.example.com", 'is a URL; name its host and port only: "api.example.com:80"'],
    ["example.com/path", "write a host without a path"],
    ["10.0.0.0/33", "neither a host nor a range"],
    ["fd00::/129", "neither a host nor a range"],
    ["10.0.0/8", "neither a host nor a range"],
    ["::1", 'write "[::1]:443"'],
    ["example.com:0", "from 1 to 65535"],
    ["example.com:65536", "from 1 to 65535"],
    ["example.com:http", "from 1 to 65535"],
    ["example.com:", "from 1 to 65535"],
    ["*", "would grant every host"],
    ["*:443", "would grant every host"],
    ["*.", "is not a host"],
    ["a.*.com", "is not a host"],
    ["", "is not a host"],
    [" example.com", "is not a host"],
    ["user@example.com", "is not a host"],
    ["exa mple.com", "is not a host"],
    ["example.com?x", "is not a host"],
    ["example.com#x", "is not a host"],
    ["a%2eb.com", "is not a host"],
    ["[::1", "from 1 to 65535"],
    ["[::1%25lo]:80", "is not a host"],
    ["[fe80::1%eth0]:80", "is not a host"],
    ["999.1.1.1", "is not a host"],
    ["*.10.0.0.1", "puts a wildcard before an address"],
    ["0.0.0.0:80", 'write "127.0.0.1:80"'],
    ["[::]", 'write "127.0.0.1"']
  ])('"%s" is refused with a remedy', (text, remedy) => {
    const entry = parseNetEntry(text)
    const problem = Result.isFailure(entry) ? entry.failure.message : "(none)"
    assert.include(problem, remedy)
    assert.include(problem, `grants.net "${text}"`)
  })

  it("is reported with all other wrong ones", () => {
    const { message } = Result.getOrThrow(Result.flip(parseNetGrants(["a.test", "*", "https://c.test"])))
    assert.include(message, 'grants.net "*" would')
    assert.include(message, 'grants.net "https://c.test" is')
  })
})

describe("covers", () => {
  it.each([
    ["example.com", "example.com:443", true],
    ["example.com", "EXAMPLE.com", true],
    ["example.com", "example.com:80", false],
    ["example.com:*", "example.com:80", true],
    ["example.com:*", "example.com:*", true],
    ["example.com:80", "example.com:*", false],
    ["example.com", "*.example.com", false],
    ["*.example.com", "a.example.com", true],
    ["*.example.com", "example.com", false],
    ["*.example.com", "*.example.com", true],
    ["*.example.com", "*.a.example.com", true],
    ["*.a.example.com", "*.example.com", false],
    ["*.example.com", "*.badexample.com", false],
    ["*.example.com", "*.a.example.com:80", false],
    ["*.example.com:*", "*.a.example.com:80", true],
    ["10.0.0.0/8", "10.1.0.0/16", true],
    ["10.0.0.0/8", "10.0.0.0/8", true],
    ["10.1.0.0/16", "10.0.0.0/8", false],
    ["10.0.0.0/8", "11.0.0.0/16", false],
    ["10.0.0.0/8", "fd00::/16", false],
    ["fd00::/8", "fd12::/16", true],
    ["10.0.0.0/8", "10.0.0.1:443", false],
    ["10.0.0.1:443", "10.0.0.1/32", false],
    ["127.0.0.1:80", "0x7f.1:80", true]
  ])("%s has %s: %s", (granted, asked, expected) => {
    const [entry] = grants(asked)
    assert.isDefined(entry)
    if (entry !== undefined) assert.strictEqual(covers(grants(granted), entry), expected)
  })
})

describe("addresses", () => {
  it.each([
    ...["8.8.8.8", "100.63.0.1", "100.128.0.1", "172.32.0.1", "223.255.255.255", "2606:4700::1111"].map(
      (address) => [address, "public"] as const
    ),
    ...["10.0.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "172.31.255.255"].map(
      (address) => [address, "private"] as const
    ),
    ...["192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.2.1", "240.0.0.1", "192.88.99.1"].map(
      (address) => [address, "private"] as const
    ),
    ...["::1", "fd00::1", "fe80::1", "fe80::1%lo", "fec0::1", "::ffff:8.8.8.8", "::ffff:7f00:1"].map(
      (address) => [address, "private"] as const
    ),
    ...["64:ff9b::808:808", "2002:7f00:1::", "2001::1", "2001:db8::1", "::127.0.0.1", "100::1"].map(
      (address) => [address, "private"] as const
    ),
    ...[
      "0.0.0.0",
      "0.1.2.3",
      "224.0.0.1",
      "255.255.255.255",
      "::",
      "ff02::1",
      "::ffff:0.0.0.0",
      "",
      "a.b"
    ].map((address) => [address, "unreachable"] as const)
  ])("%s is %s", (address, kind) => assert.strictEqual(addressKindOf(address), kind))

  it.each([
    [["10.0.0.0/8", "a.test"], "https://a.test/", "10.2.3.4", true],
    [["10.0.0.0/8", "a.test"], "https://a.test/", "11.2.3.4", false],
    [["10.0.0.0/8", "a.test"], "https://a.test/", "::ffff:10.2.3.4", true],
    [["fd00::/8", "a.test"], "https://a.test/", "fd12::1", true],
    [["127.0.0.1:80"], "http://127.0.0.1/", "127.0.0.1", true],
    [["127.0.0.1:80", "a.test:80"], "http://a.test/", "127.0.0.1", false],
    [["127.0.0.1:80"], "http://127.0.0.1:81/", "127.0.0.1", false],
    [["[::1]:80"], "http://[::1]/", "::1", true],
    [["localhost:80"], "http://localhost/", "127.0.0.1", true],
    [["localhost:80"], "http://localhost/", "::1", true],
    [["localhost:80"], "http://localhost/", "10.0.0.1", false],
    [["a.test"], "https://a.test/", "127.0.0.1", false]
  ] as const)("%j for %s opens %s: %s", (texts, url, address, expected) => {
    assert.strictEqual(opensAddress(grants(...texts), new URL(url), address), expected)
  })
})
