/** The soak's verdict on runs of which it is known whether they went well. */
import { afterAll, assert, describe, it, vi } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { HeldMemory } from "../bench/soak/heldMemory.ts"
import { heldMemoryOf } from "../bench/soak/heldReadings.ts"
import { notClosed, openJobs, type Sample, series } from "../bench/soak/samples.ts"
import { type Outcome, verdict } from "../bench/soak/verdict.ts"

/** Twelve samples a minute, with the noise that garbage collections make. `change` gets the minute. */
const samples = (minutes: number, change: (at: number) => Partial<Sample> = () => ({})): Array<Sample> =>
  Array.from({ length: minutes * 12 + 1 }, (_, n) => ({
    minutes: n / 12,
    residentMiB: 250 + Math.min(n, 60) / 2 + 10 * Math.sin(n * 1.7),
    handles: 150 + (n % 9),
    threads: 12,
    processes: 16 + (n % 2),
    childrenMiB: 900,
    openJobs: n,
    notClosed: [],
    listeners: 14,
    p50: 3,
    p99: 20,
    ...change(n / 12)
  }))

type Readings = Pick<HeldMemory, "heapMiB" | "residentMiB">

/** What is held after a collection of a hub that is as it was: its caches are full after five minutes. */
const steady = (at: number): Readings => ({
  heapMiB: 37 - 7 * Math.exp(-at) + 0.3 * Math.sin(at * 7),
  residentMiB: 240 - 60 * Math.exp(-at) + 7 * Math.sin(at * 5)
})

/** One reading a minute. */
const withReadings = (some: ReadonlyArray<Sample>, held: (at: number) => Readings): Array<Sample> =>
  some.map((sample, n) =>
    n % 12 === 1 ? { ...sample, held: { number: (n + 11) / 12, ...held(sample.minutes) } } : sample
  )

const well: Outcome = {
  samples: withReadings(samples(30), steady),
  p99: 20,
  errors: [],
  listenerErrors: [],
  stuck: [],
  listenersLeft: 0,
  exit: "130",
  left: []
}

const failed = (outcome: Partial<Outcome>): ReadonlyArray<string> =>
  verdict({ ...well, ...outcome }).flatMap(({ what, ok }) => (ok === false ? [what] : []))

describe("the verdict of a soak", () => {
  it("is good of a run that stayed as it was", () => {
    assert.deepStrictEqual(failed({}), [])
    assert.isTrue(verdict(well).every(({ ok }) => ok === true))
  })

  const heap = "heap of the hub, garbage collected"
  const afterCollection = "resident memory of the hub after a collection of the main heap"
  const resident = "resident memory of the hub"
  const ofMemory = (some: ReadonlyArray<Sample>) =>
    Object.fromEntries(
      verdict({ ...well, samples: some })
        .slice(0, 3)
        .map(({ what, ok }) => [what, ok])
    )

  it("finds a leak of 1 MiB a minute in what is held after collections", () => {
    const leak = (name: keyof Readings) => (at: number) => ({ ...steady(at), [name]: steady(at)[name] + at })
    assert.deepStrictEqual(failed({ samples: withReadings(samples(30), leak("heapMiB")) }), [heap])
    assert.deepStrictEqual(failed({ samples: withReadings(samples(30), leak("residentMiB")) }), [
      afterCollection
    ])
  })

  it("finds memory that only forced collections give back", () => {
    const grows = samples(30, (at) => ({ residentMiB: 250 + 6 * at + 10 * Math.sin(at * 20) }))
    assert.deepStrictEqual(failed({ samples: withReadings(grows, steady) }), [resident])
  })

  it("takes no full cache for a leak", () => {
    const fills = (at: number) => ({
      heapMiB: 30 + 2 * Math.min(at, 5),
      residentMiB: 180 + 12 * Math.min(at, 5)
    })
    assert.deepStrictEqual(failed({ samples: withReadings(samples(30), fills) }), [])
  })

  it("says of memory only what a run is long enough for", () => {
    const leaking = (minutes: number) =>
      withReadings(
        samples(minutes, (at) => ({ residentMiB: 250 + 20 * at })),
        (at) => ({ heapMiB: 30 + at, residentMiB: 200 + at })
      )
    assert.deepStrictEqual(ofMemory(leaking(19)), {
      [heap]: undefined,
      [afterCollection]: undefined,
      [resident]: undefined
    })
    assert.deepStrictEqual(ofMemory(leaking(29)), {
      [heap]: false,
      [afterCollection]: undefined,
      [resident]: false
    })
    // The last sample of 30 minutes may be taken a moment before they are over.
    for (const some of [
      leaking(30),
      leaking(30).map((sample) => ({ ...sample, minutes: sample.minutes * 0.9999 }))
    ])
      assert.deepStrictEqual(ofMemory(some), {
        [heap]: false,
        [afterCollection]: false,
        [resident]: false
      })
  })

  it("is bad if the hub did not say what it holds", () => {
    assert.deepStrictEqual(failed({ samples: samples(30) }), [heap, afterCollection])
  })

  it("finds handles, threads and processes that are not given back", () => {
    const rises = samples(2, (at) => ({
      handles: 150 + 20 * at,
      threads: 12 + 3 * at,
      processes: 16 + 10 * at
    }))
    assert.deepStrictEqual(failed({ samples: rises }), [
      "handles of the hub",
      "threads of the hub",
      "processes of isolates"
    ])
  })

  it("finds all else that went wrong", () => {
    assert.deepStrictEqual(failed({ p99: 50 }), ["p99 of POST"])
    assert.deepStrictEqual(failed({ p99: Number.NaN }), ["p99 of POST"])
    assert.deepStrictEqual(failed({ errors: ["post: 500"] }), ["errors that nobody provoked"])
    assert.deepStrictEqual(failed({ listenerErrors: ["event 7 came after 5"] }), [
      "events missed or doubled, connections lost"
    ])
    assert.deepStrictEqual(failed({ stuck: ["1 of urls"] }), ["jobs stuck behind a closed circuit"])
    assert.deepStrictEqual(failed({ listenersLeft: 1 }), ["clients counted after all have left"])
    assert.deepStrictEqual(failed({ exit: "SIGKILL" }), ["exit of the hub"])
    assert.deepStrictEqual(failed({ left: ["process 5"] }), ["processes left behind"])
  })
})

it("series are read from the text of the metrics", () => {
  const text = [
    "# TYPE agentlip_jobs gauge",
    'agentlip_jobs{plugin="urls"} 3',
    'agentlip_jobs{plugin="spins"} 20',
    "agentlip_sockets 4",
    'agentlip_breaker_state{plugin="urls"} 0',
    'agentlip_breaker_state{plugin="spins"} 2'
  ].join("\n")
  assert.deepStrictEqual(series(text, "agentlip_sockets"), [["", 4]])
  assert.deepStrictEqual(
    [...openJobs(text)],
    [
      ["urls", 3],
      ["spins", 20]
    ]
  )
  assert.deepStrictEqual(notClosed(text), ["spins"])
})

describe.runIf(process.platform !== "win32")("what a process holds", () => {
  const folder = mkdtempSync(join(tmpdir(), "agentlip-held-"))
  afterAll(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "held.json")

  /** Says READY, and ends when its stdin does. */
  const start = async (heldFile: string) => {
    const heldMemory = fileURLToPath(new URL("../bench/soak/heldMemory.ts", import.meta.url))
    const code = "process.stdin.resume(); console.log('READY')"
    const child = spawn(process.execPath, ["--expose-gc", "--import", heldMemory, "--eval", code], {
      env: { ...process.env, SOAK_HELD: heldFile }
    })
    const ended = once(child, "exit")
    await once(child.stdout, "data")
    return { child, pid: child.pid ?? Number.NaN, ended }
  }

  it("is read once for each question", async () => {
    const { child, pid, ended } = await start(file)
    const readings = heldMemoryOf(pid, file)
    assert.isUndefined(readings.take())
    for (const number of [1, 2]) {
      readings.ask()
      const held = await vi.waitUntil(() => readings.take(), { timeout: 60_000 })
      assert.strictEqual(held.number, number)
      assert.isAbove(held.heapMiB, 1)
      assert.isAbove(held.residentMiB, held.heapMiB)
      assert.isUndefined(readings.take())
    }
    child.stdin.end()
    assert.deepStrictEqual(await ended, [0, null])
  }, 120_000)

  it("is missing if it cannot be written, and the process goes on", async () => {
    const { child, pid, ended } = await start(join(folder, "missing", "held.json"))
    let log = ""
    child.stderr.on("data", (chunk) => (log += chunk))
    heldMemoryOf(pid, file).ask()
    await vi.waitUntil(() => log.includes("what the hub holds was not written: Error: ENOENT"), {
      timeout: 60_000
    })
    child.stdin.end()
    assert.deepStrictEqual(await ended, [0, null])
  }, 120_000)

  it("is not asked of a process that has ended", () => {
    const higherThanAny = 2 ** 22 + 1
    assert.doesNotThrow(heldMemoryOf(higherThanAny, file).ask)
  })
})
