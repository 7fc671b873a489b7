/** The soak's verdict on runs of which it is known whether they went well. */
import { assert, describe, it } from "@effect/vitest"
import { notClosed, openJobs, type Sample, series } from "../bench/soak/samples.ts"
import { type Outcome, verdict } from "../bench/soak/verdict.ts"

/** Twelve samples a minute, with the noise that garbage collections make. */
const samples = (minutes: number, change: (at: number) => Partial<Sample> = () => ({})): Array<Sample> =>
  Array.from({ length: minutes * 12 }, (_, n) => ({
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

const well: Outcome = {
  samples: samples(30),
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

  it("finds a leak of 1 MiB a minute", () => {
    const leak = samples(30, (at) => ({ residentMiB: 280 + at + 10 * Math.sin(at * 20) }))
    assert.deepStrictEqual(failed({ samples: leak }), ["resident memory of the hub"])
  })

  it("says nothing of memory after a few minutes", () => {
    const [memory] = verdict({ ...well, samples: samples(5, (at) => ({ residentMiB: 250 + 20 * at })) })
    assert.isUndefined(memory?.ok)
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
