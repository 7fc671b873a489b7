/** Memory of the host that no engine reports: which isolate is blamed for it, if any. */
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
    /** Looks at a host of `resident` MiB, with the processor time of each thread. */
    look: (resident: number, busy: ReadonlyArray<readonly [Thread, number]>): Blame<Thread> | undefined =>
      host.look(
        { resident: resident * mebibyte, own: own * mebibyte },
        new Map(busy.map(([thread, cpu]): readonly [Thread, Member] => [thread, { limit, cpu }])),
        (thread) => gone.has(thread)
      )
  }
}

/** A host that has seen both threads start to work. */
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
  it("blames the only busy thread for growth far beyond its limit", () => {
    const { look, account } = setUp()
    account(a, 10)
    assert.isUndefined(look(200, [[a, 0]]))
    assert.isUndefined(look(500, [[a, 100]]))
    assert.deepStrictEqual(look(521, [[a, 110]]), { isolate: a, unseen: 321 })
  })

  it("blames no thread for memory that engines reported, even if the process keeps it after it is freed", () => {
    const { look, account } = setUp()
    account(a, 10)
    look(200, [[a, 0]])
    account(a, 900)
    assert.isUndefined(look(1_100, [[a, 100]]))
    account(a, 10)
    assert.isUndefined(look(1_100, [[a, 200]]))
  })

  it("blames no thread for the memory of other threads, busy or idle", () => {
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

  it("adds up what a thread keeps from run to run", () => {
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

  it("does not blame a thread's next run for memory that others took", () => {
    const { look } = bothAtWork()
    look(450, [
      [a, 0],
      [b, 100]
    ])
    look(450, [])
    look(450, [[a, 0]])
    assert.isUndefined(look(600, [[a, 100]]))
  })

  it("blames the one of several threads that had nearly all the processor time", () => {
    const { look } = bothAtWork()
    assert.strictEqual(
      look(600, [
        [a, 5],
        [b, 100]
      ])?.isolate,
      b
    )
  })

  it("blames none of several possible threads until the host runs short of memory", () => {
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
    // The process returned the other thread's memory, so all growth from here is new.
    assert.isUndefined(look(300, [[a, 10]]))
    assert.isUndefined(look(1_100, [[a, 20]]))
    assert.strictEqual(look(1_121, [[a, 20]])?.isolate, a)
  })
})
