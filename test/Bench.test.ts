/** The benchmark's own arithmetic: a budget is only as good as the figures it is judged by. */
import { assert, describe, it, vi } from "@effect/vitest"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { budgets, judge } from "../bench/budgets.ts"
import { compare } from "../bench/compare.ts"
import type { Figure, Scale } from "../bench/figures.ts"
import { alternate } from "../bench/figures.ts"
import { failureText, measureAll } from "../bench/measure.ts"
import { optionsOf } from "../bench/options.ts"
import { record, recorded } from "../bench/record.ts"
import { grid, number, report } from "../bench/report.ts"
import { growth, median, quantile, ratios, spread, summary } from "../bench/stats.ts"
import { tables } from "../bench/tables.ts"
import { pageText } from "../bench/page.ts"

const figure = (options: Partial<Figure>): Figure => ({
  table: tables.warm,
  contender: "agentlip",
  unit: "runs/s",
  better: "more",
  rounds: [1],
  ...options
})

describe("docs/performance.md", () => {
  it("has the figures of bench/recorded.json (npm run docs:performance)", () => {
    const page = readFileSync(new URL("../docs/performance.md", import.meta.url), "utf8")
    assert.include(page, "<!-- figures: budgets -->")
    assert.strictEqual(page, pageText)
  })
})

describe("suites", () => {
  it("go on after one that fails; the failure is told", async () => {
    const { figures, failures } = await measureAll(["warm", "sizes", "kill"], (suite) =>
      suite === "sizes"
        ? Promise.reject(new Error("WORKER_CRASH: it used 131 MiB"))
        : Promise.resolve([figure({ table: suite })])
    )
    assert.deepStrictEqual(
      figures.map(({ table }) => table),
      ["warm", "kill"]
    )
    assert.strictEqual(failureText(failures), 'suite "sizes" failed: WORKER_CRASH: it used 131 MiB\n')
    assert.strictEqual(failureText([]), "")
  })
})

describe("a recorded run", () => {
  it("is written only if no suite failed", () => {
    const folder = mkdtempSync(join(tmpdir(), "agentlip-bench-"))
    const file = join(folder, "recorded.json")
    const run = { figures: [figure({})], failures: [] }
    const failed = { figures: [figure({ rounds: [2] })], failures: [{ suite: "hub", reason: "it ended" }] }
    assert.isFalse(record(file, failed, []))
    assert.isFalse(existsSync(file))
    assert.isTrue(record(file, run, []))
    assert.isFalse(record(file, failed, []))
    assert.deepStrictEqual(recorded(file), run.figures)
    rmSync(folder, { recursive: true })
  })
})

describe("options", () => {
  /** What is said of these arguments; `undefined` if they are accepted. */
  const problemOf = (...args: ReadonlyArray<string>): string | undefined => {
    const said = vi.spyOn(process.stderr, "write").mockReturnValue(true)
    const exit = vi.spyOn(process, "exit").mockImplementation((code) => {
      throw new Error(`exit ${String(code)}`)
    })
    try {
      optionsOf(args)
      return undefined
    } catch (error) {
      assert.strictEqual(String(error), "Error: exit 2")
      return said.mock.calls.map(([text]) => String(text)).join("")
    } finally {
      said.mockRestore()
      exit.mockRestore()
    }
  }

  it("write no part of a run over the record of a whole one", () => {
    const file = join(import.meta.dirname, "../bench/recorded.json")
    for (const part of [["--only", "warm"], ["--quick"]])
      assert.match(
        problemOf(...part, "--json", file) ?? "",
        /holds a whole run: name another file after --json/
      )
    assert.isUndefined(problemOf("--json", file))
    assert.isUndefined(problemOf("--only", "warm", "--json", "warm.json"))
  })
})

describe("stats", () => {
  it("takes the middle of an odd number and the mean of the two middle ones of an even number", () => {
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(median([4, 1, 3, 2]), 2.5)
    assert.isNaN(median([]))
  })

  it("finds quantiles by rank", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 99 - index)
    assert.strictEqual(quantile(hundred, 0.99), 98)
    assert.strictEqual(quantile(hundred, 0.5), 49)
    assert.strictEqual(quantile(hundred, 1), 99)
    assert.strictEqual(quantile(hundred, 0), 0)
    assert.strictEqual(quantile([7], 0.99), 7)
    assert.isNaN(quantile([], 0.5))
  })

  it("finds the 19th of 20 values as p95, not the largest", () => {
    const twenty = Array.from({ length: 20 }, (_, index) => index + 1)
    assert.strictEqual(quantile(twenty, 0.95), 19)
  })

  it("says how far rounds lie apart", () => {
    assert.deepStrictEqual(summary([10, 8, 12]), { median: 10, min: 8, max: 12 })
    assert.strictEqual(spread([10, 8, 12]), 0.2)
  })

  it("divides round by round", () => {
    assert.deepStrictEqual(ratios([10, 30, 5], [5, 10]), [2, 3])
  })

  it("sees growth past the start, and none where readings only waver", () => {
    assert.strictEqual(growth([1, 40, 100, 101, 99, 100, 101, 99, 100, 101]), 100 / 100)
    const leaking = Array.from({ length: 10 }, (_, index) => 100 + 10 * index)
    assert.isAbove(growth(leaking), 1.3)
  })
})

describe("budgets", () => {
  const rows = (ours: number, sync: number, async: number): ReadonlyArray<Figure> => [
    figure({ rounds: [ours] }),
    figure({ contender: "piscina, 64 a worker, sync", rounds: [sync] }),
    figure({ contender: "piscina, 64 a worker, async", rounds: [async] })
  ]

  it("is judged against the faster of a peer's ways", () => {
    const [met] = judge(rows(150, 100, 50))
    assert.deepInclude(met, { judgement: "met", median: 1.5 })
    const [missed] = judge(rows(150, 100, 130))
    assert.strictEqual(missed?.judgement, "missed")
  })

  it("says nothing of what was not measured", () => {
    assert.deepStrictEqual(judge([]), [])
  })

  const killed = (...rounds: ReadonlyArray<number>) =>
    judge([figure({ table: tables.kill, unit: "ms", better: "less", rounds })])[0]?.judgement

  it("bounds from above too", () => {
    assert.strictEqual(killed(5), "met")
    assert.strictEqual(killed(5.1), "missed")
  })

  it("is unclear if the bound lies among the rounds", () => {
    assert.strictEqual(killed(3, 4, 5), "met")
    assert.strictEqual(killed(3, 4, 6), "unclear")
    assert.strictEqual(killed(6, 7), "missed")
  })

  it("misses where a figure is no number", () => {
    assert.strictEqual(killed(Number.NaN), "missed")
  })

  it("has each budget of its own", () => {
    assert.strictEqual(new Set(budgets.map(({ what }) => what)).size, budgets.length)
  })
})

describe("compare", () => {
  const before = [figure({ rounds: [100, 110, 120] })]

  it("flags a figure that is outside all rounds of the other run, and whether it is better", () => {
    const verdict = (rounds: ReadonlyArray<number>) => compare(before, [figure({ rounds })])[0]?.verdict
    assert.strictEqual(verdict([121, 130, 140]), "better")
    assert.strictEqual(verdict([80, 90, 99]), "worse")
    assert.strictEqual(verdict([90, 100, 200]), "within the spread")
    const less = (rounds: ReadonlyArray<number>) => figure({ better: "less", rounds })
    assert.strictEqual(compare([less([10, 11])], [less([12, 13])])[0]?.verdict, "worse")
  })

  it("tells nothing from two single rounds", () => {
    assert.strictEqual(
      compare([figure({ rounds: [1] })], [figure({ rounds: [9] })])[0]?.verdict,
      "within the spread"
    )
  })

  it("leaves out what only one of the runs has", () => {
    assert.deepStrictEqual(compare(before, [figure({ contender: "another" })]), [])
  })
})

describe("report", () => {
  it("writes numbers with the digits that they need", () => {
    assert.deepStrictEqual([1234.5, 123.4, 12.34, 1.234, Number.NaN].map(number), [
      "1,235",
      "123",
      "12.3",
      "1.23",
      "-"
    ])
  })

  it("writes Markdown on request", () => {
    assert.strictEqual(
      grid(
        [
          ["", "runs/s"],
          ["agentlip", "10"]
        ],
        true
      ),
      ["|          | runs/s |", "| -------- | -----: |", "| agentlip |     10 |"].join("\n")
    )
  })

  it("marks figures whose rounds are far apart", () => {
    assert.match(report([figure({ rounds: [10, 14, 20] })], true), /±36% noise/)
    assert.notMatch(report([figure({ rounds: [10, 11, 12] })], true), /noise/)
  })

  it("puts our figure beside each other's", () => {
    const text = report([figure({ rounds: [30] }), figure({ contender: "a peer", rounds: [10] })], true)
    assert.include(text, "### warm, 64 callers, one worker (more is better)")
    assert.match(text, /a peer +\| +10\.0 \| +±0% \| +3\.00/)
  })
})

describe("alternate", () => {
  const scale: Scale = {
    quick: false,
    rounds: 2,
    seconds: 60,
    turn: 1,
    warmUp: { calls: 1, millis: 1 },
    soak: 1
  }

  it("gives everyone a turn a round, and does not keep the order", async () => {
    const order: Array<string> = []
    const measured = await alternate(scale, ["a", "b"], async (name, round) => {
      order.push(name)
      return round
    })
    assert.deepStrictEqual(order, ["a", "b", "b", "a"])
    assert.deepStrictEqual(measured, [
      ["a", [0, 1]],
      ["b", [0, 1]]
    ])
  })

  it("stops after two rounds if the suite has no time left", async () => {
    const measured = await alternate({ ...scale, rounds: 9, seconds: 0 }, ["a"], async (_, round) => round)
    assert.deepStrictEqual(measured, [["a", [0, 1]]])
  })

  it("does at most as many rounds as are wanted", async () => {
    const measured = await alternate({ ...scale, rounds: 9 }, ["a"], async (_, round) => round, { most: 3 })
    assert.deepStrictEqual(measured, [["a", [0, 1, 2]]])
  })
})
