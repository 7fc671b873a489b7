/** What a guest reports as missing grants: only what has the form of a grant is kept. */
import { assert, describe, it } from "@effect/vitest"
import { reportedGrants } from "../../src/capabilities/reported.ts"

const long = "x".repeat(1_001)

describe("reportedGrants", () => {
  it.each([
    [
      { read: ["/a b"], write: ["/w"], net: ["a.test:*"], env: ["HOME"] },
      { read: ["/a b"], write: ["/w"], net: ["a.test:*"], env: ["HOME"] }
    ],
    [
      { read: ["relative", "/a"], net: ["*", "a.test"] },
      { read: ["/a"], net: ["a.test"] }
    ],
    [{ net: ["https://a.test/"], env: ["A B"] }, undefined],
    [{ read: ["/a\u001b[2J", "/a\nb", "/a\u202eb"] }, undefined],
    [{ read: [`/${long}`] }, undefined],
    [
      {
        read: ["/w/.agentlip/server.json", "/w/.AgentLip", "/w/.agentlips"],
        write: ["/a*b", "/proc/1", "/", "/a"]
      },
      { read: ["/w/.agentlips"], write: ["/a"] }
    ],
    [{ read: Array.from({ length: 101 }, () => "/a") }, undefined],
    [{ read: ["/a"], other: ["/b"] }, undefined],
    [{ read: "/a" }, undefined],
    [{}, undefined],
    [null, undefined],
    ["read", undefined],
    [undefined, undefined]
  ])("%j", (reported, grants) => {
    assert.deepStrictEqual(reportedGrants(reported), grants)
  })
})
