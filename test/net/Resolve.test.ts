/** How the broker finds the addresses of a name: hosts file, localhost, name servers, search list. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createSocket } from "node:dgram"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeResolver, type ResolverOptions } from "../../src/net/resolve.ts"
import { temporary } from "../support/plugins.ts"

/** The name that a question is about, and of which type. */
const questionIn = (packet: Buffer) => {
  const labels: Array<string> = []
  let at = 12
  for (let length = packet[at] ?? 0; length > 0; length = packet[at] ?? 0) {
    labels.push(packet.toString("latin1", at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join(".").toLowerCase(), type: packet.readUInt16BE(at + 1), end: at + 5 }
}

/** A name server that knows some IPv4 addresses, says that there is nothing else, and keeps what it was asked. */
const nameServer = (known: { readonly [name: string]: string }) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly address: string; readonly asked: Set<string>; readonly close: () => void }>(
      (resume) => {
        const asked = new Set<string>()
        const socket = createSocket("udp4", (packet, { port, address }) => {
          const { name, type, end } = questionIn(packet)
          asked.add(name)
          const found = type === 1 ? known[name] : undefined
          const exists = known[name] !== undefined
          const head = Buffer.from(packet.subarray(0, 12))
          head.writeUInt16BE(exists ? 0x81_80 : 0x81_83, 2)
          head.writeUInt16BE(found === undefined ? 0 : 1, 6)
          head.fill(0, 8)
          const record =
            found === undefined
              ? []
              : [Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ...found.split(".").map(Number)])]
          socket.send(Buffer.concat([head, packet.subarray(12, end), ...record]), port, address)
        })
        socket.bind(0, "127.0.0.1", () =>
          resume(
            Effect.succeed({
              address: `127.0.0.1:${socket.address().port}`,
              asked,
              close: () => socket.close()
            })
          )
        )
      }
    ),
    ({ close }) => Effect.sync(close)
  )

const start = (
  known: { readonly [name: string]: string },
  files: { hosts?: string; resolver?: string } = {}
) =>
  Effect.gen(function* () {
    const folder = yield* temporary
    const { address, asked } = yield* nameServer(known)
    const hostsFile = path.join(folder, "hosts")
    const resolverFile = path.join(folder, "resolv.conf")
    fs.writeFileSync(hostsFile, files.hosts ?? "")
    fs.writeFileSync(resolverFile, files.resolver ?? "")
    const options: ResolverOptions = { nameServers: [address], hostsFile, resolverFile }
    const resolve = makeResolver(options)
    const find = (name: string) =>
      Effect.tryPromise({
        try: (signal) => resolve(name, signal),
        catch: (error) => String(error instanceof Error ? Reflect.get(error, "code") : error)
      }).pipe(
        Effect.map((found) => found.map(({ address }) => address).join()),
        Effect.catch((code) => Effect.succeed(code))
      )
    return { find, asked, hostsFile }
  })

describe("A name", () => {
  it.live("is looked up at the name servers, which may not know it", () =>
    Effect.gen(function* () {
      const { find, asked } = yield* start({ "a.test": "10.0.0.1" })
      assert.strictEqual(yield* find("a.test"), "10.0.0.1")
      assert.strictEqual(yield* find("b.test"), "ENOTFOUND")
      assert.deepStrictEqual([...asked], ["a.test", "b.test"])
    }).pipe(Effect.scoped)
  )

  it.live("in the hosts file needs no server, and the file is read again when it changes", () =>
    Effect.gen(function* () {
      const { find, asked, hostsFile } = yield* start(
        { "a.test": "10.0.0.1" },
        {
          hosts: [
            "# 10.0.0.7 a.test",
            "10.0.0.8 a.test.example other # a.test",
            "10.0.0.2\tA.test alias",
            "fd00::2 a.test",
            "nonsense a.test"
          ].join("\n")
        }
      )
      assert.strictEqual(yield* find("a.test"), "10.0.0.2,fd00::2")
      assert.strictEqual(yield* find("alias"), "10.0.0.2")
      assert.deepStrictEqual([...asked], [])
      fs.writeFileSync(hostsFile, "")
      assert.strictEqual(yield* find("a.test"), "10.0.0.1")
      fs.rmSync(hostsFile)
      assert.strictEqual(yield* find("a.test"), "10.0.0.1")
    }).pipe(Effect.scoped)
  )

  it.live("of this machine needs no server", () =>
    Effect.gen(function* () {
      const { find, asked } = yield* start({ localhost: "10.0.0.1", "x.localhost": "10.0.0.1" })
      assert.strictEqual(yield* find("localhost"), "127.0.0.1,::1")
      assert.strictEqual(yield* find("x.localhost"), "127.0.0.1,::1")
      assert.deepStrictEqual([...asked], [])
    }).pipe(Effect.scoped)
  )

  it.live("is tried with the search list, before or after, depending on its dots", () =>
    Effect.gen(function* () {
      const { find, asked } = yield* start(
        { "db.first.test": "10.0.0.1", "db.x.second.test": "10.0.0.2" },
        { resolver: "nameserver 10.1.1.1\nsearch first.test second.test.\noptions timeout:1 ndots:1\n" }
      )
      assert.strictEqual(yield* find("db"), "10.0.0.1")
      assert.deepStrictEqual([...asked], ["db.first.test"])
      assert.strictEqual(yield* find("db.x"), "10.0.0.2")
      assert.deepStrictEqual([...asked], ["db.first.test", "db.x", "db.x.first.test", "db.x.second.test"])
    }).pipe(Effect.scoped)
  )
})
