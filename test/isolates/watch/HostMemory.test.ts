/** Whose the host's unseen memory is: told of one plugin, or of none. */
import { assert, describe, it } from "@effect/vitest"
import { type Blame, HostMemory, type Member } from "../../../src/isolates/watch/HostMemory.ts"

const mebibyte = 1024 * 1024
interface Thread {
  readonly name: string
}
const a: Thread = { name: "a" }
const b: Thread = { name: "b" }
const limit = 64
const own = 50

const setUp = () => {
  const host = new HostMemory<Thread>()
  const gone = new Set<Thread>()
  return {
    gone,
    account: (thread: Thread, mib: number) => host.account(thread, mib * mebibyte),
    /** A look at a host of so many MiB, with processor time by thread. */
    look: (resident: number, busy: ReadonlyArray<readonly [Thread, number]>): Blame<Thread> | undefined =>
      host.look(
        { resident: resident * mebibyte, own: own * mebibyte },
        new Map(busy.map(([thread, cpu]): readonly [Thread, Member] => [thread, { limit, cpu }])),
        (thread) => gone.has(thread)
      )
  }
}

/** A host that has seen both threads begin to work. */
const bothAtWork = () => {
  const host = setUp()
  host.account(a, 10)
  host.account(b, 10)
  host.look(200, [
    [a, 0],
    [b, 0]
  ])
  return host
}

describe("HostMemory", () => {
  it("blames the only thread that works for growth far beyond its limit", () => {
    const { look, account } = setUp()
    account(a, 10)
    assert.isUndefined(look(200, [[a, 0]]))
    assert.isUndefined(look(500, [[a, 100]]))
    assert.deepStrictEqual(look(521, [[a, 110]]), { isolate: a, unseen: 321 })
  })

  it("blames nobody for what engines account for, when it is freed and kept by the process neither", () => {
    const { look, account } = setUp()
    account(a, 10)
    look(200, [[a, 0]])
    account(a, 900)
    assert.isUndefined(look(1_100, [[a, 100]]))
    account(a, 10)
    assert.isUndefined(look(1_100, [[a, 200]]))
  })

  it("blames nobody for threads that are there meanwhile, at work or not", () => {
    const { look, account } = setUp()
    account(a, 10)
    look(200, [[a, 0]])
    const others = Array.from({ length: 40 }, (_, n) => ({ name: `other ${n}` }))
    let resident = 200
    for (const other of others) {
      account(other, 30)
      resident += 40
      assert.isUndefined(
        look(resident, [
          [a, 1],
          [other, 10]
        ])
      )
      assert.isUndefined(look(resident, [[a, 1]]))
    }
  })

  it("remembers what a thread has kept from one run to the next", () => {
    const { look, account } = setUp()
    account(a, 10)
    let resident = 200
    let blame: Blame<Thread> | undefined
    let runs = 0
    for (; blame === undefined && runs < 20; runs++) {
      look(resident, [[a, 0]])
      resident += 50
      blame = look(resident, [[a, 10]])
      look(resident, [])
    }
    assert.strictEqual(blame?.isolate, a)
    assert.strictEqual(runs, 7)
  })

  it("does not hold what others took against a thread's next run", () => {
    const { look } = bothAtWork()
    look(450, [
      [a, 0],
      [b, 100]
    ])
    look(450, [])
    look(450, [[a, 0]])
    assert.isUndefined(look(600, [[a, 100]]))
  })

  it("of several blames the one that has had nearly all the processor time", () => {
    const { look } = bothAtWork()
    assert.strictEqual(
      look(600, [
        [a, 5],
        [b, 100]
      ])?.isolate,
      b
    )
  })

  it("of several that could all have done it blames none, until the host is in need", () => {
    const { look } = bothAtWork()
    assert.isUndefined(
      look(800, [
        [a, 90],
        [b, 100]
      ])
    )
    assert.strictEqual(
      look(841, [
        [a, 90],
        [b, 100]
      ])?.isolate,
      b
    )
  })

  it("forgets threads that are gone", () => {
    const { look, account, gone } = setUp()
    account(a, 10)
    account(b, 500)
    look(800, [[a, 0]])
    gone.add(b)
    // The process gave back what the other had: what is there now is new.
    assert.isUndefined(look(300, [[a, 10]]))
    assert.isUndefined(look(1_100, [[a, 20]]))
    assert.strictEqual(look(1_121, [[a, 20]])?.isolate, a)
  })
})
