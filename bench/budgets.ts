/** What the runtime may cost: each budget's figure of this run, whether it is kept, and how far the rounds lie apart. */
import { type Figure, find } from "./figures.ts"
import { grid, number } from "./report.ts"
import { ratios, summary, type Summary } from "./stats.ts"
import { tables } from "./tables.ts"

interface Budget {
  readonly what: string
  readonly bound: `${"<=" | ">="} ${number}`
  readonly unit: "x" | "ms" | "MB" | "MiB" | "msg/s" | "messages"
  /** One figure a round; none where what it needs was not measured. */
  readonly of: (figures: ReadonlyArray<Figure>) => ReadonlyArray<number>
}

const absolute =
  (table: string, contender: string) =>
  (figures: ReadonlyArray<Figure>): ReadonlyArray<number> =>
    find(figures, table, contender)?.rounds ?? []

const against =
  (table: string, contender: string, other: string) =>
  (figures: ReadonlyArray<Figure>): ReadonlyArray<number> =>
    ratios(absolute(table, contender)(figures), absolute(table, other)(figures))

/** The lowest of several ratios, round by round: a budget against whichever of a peer's ways is its fastest. */
const lowest =
  (...all: ReadonlyArray<(figures: ReadonlyArray<Figure>) => ReadonlyArray<number>>) =>
  (figures: ReadonlyArray<Figure>): ReadonlyArray<number> => {
    const measured = all.map((of) => of(figures)).filter((rounds) => rounds.length > 0)
    return (measured[0] ?? []).map((_, round) =>
      Math.min(...measured.map((rounds) => rounds[round] ?? Number.POSITIVE_INFINITY))
    )
  }

const baseline = "bare node:http + node:sqlite"

const besideKill = (table: string, name: string) =>
  against(table, `${name}, beside a spinning plugin`, `${name}, alone`)

export const budgets: ReadonlyArray<Budget> = [
  {
    what: "warm, 64 callers: beside Piscina at 64 tasks a worker, the faster of its ways to wait",
    bound: ">= 1.2",
    unit: "x",
    of: lowest(
      against(tables.warm, "agentlip", "piscina, 64 a worker, async"),
      against(tables.warm, "agentlip", "piscina, 64 a worker, sync")
    )
  },
  {
    what: "warm, 64 callers: beside bare postMessage, pipelined",
    bound: ">= 0.6",
    unit: "x",
    of: against(tables.warm, "agentlip", "bare postMessage")
  },
  {
    what: "warm, one caller, p50: beside a bare postMessage round trip",
    bound: "<= 1.25",
    unit: "x",
    of: against(tables.oneCaller, "agentlip", "bare postMessage")
  },
  {
    what: "message of 64 KiB, 64 callers: beside Piscina",
    bound: ">= 0.8",
    unit: "x",
    of: against(tables.size(64), "agentlip", "piscina, 64 a worker, async")
  },
  {
    what: "200 plugins in turn, 64 callers: beside one plugin",
    bound: ">= 0.5",
    unit: "x",
    of: against(tables.plugins, "agentlip, 200 plugins", "agentlip, 1 plugin")
  },
  {
    what: "200 plugins: resident memory of the host",
    bound: "<= 1024",
    unit: "MiB",
    of: absolute(tables.pluginsMemory, "agentlip, 200 plugins")
  },
  {
    what: "an idle isolate of a thread, memory: beside a bare Worker",
    bound: "<= 1.2",
    unit: "x",
    of: against(tables.idle, "agentlip", "bare new Worker")
  },
  {
    what: "an idle isolate of a process, memory: beside a bare Node",
    bound: "<= 1.1",
    unit: "x",
    of: against(tables.idle, "agentlip, process", "bare spawn of node")
  },
  {
    what: "fresh isolate, spare ready, p50: beside new Worker and its first answer",
    bound: "<= 0.12",
    unit: "x",
    of: against(tables.fresh, "agentlip", "bare new Worker")
  },
  {
    what: "spinning thread: deadline -> gone, p95",
    bound: "<= 5",
    unit: "ms",
    of: absolute(tables.kill, "agentlip")
  },
  {
    what: "spinning process: deadline -> gone, p95",
    bound: "<= 8",
    unit: "ms",
    of: absolute(tables.kill, "agentlip, process")
  },
  {
    what: "spinning WebAssembly: deadline -> gone, p95",
    bound: "<= 5",
    unit: "ms",
    of: absolute(tables.kill, "agentlip, wasm")
  },
  {
    what: "another thread's p99 while one spins and is killed: beside alone",
    bound: "<= 2",
    unit: "x",
    of: besideKill(tables.besideKill, "agentlip")
  },
  {
    what: "another process's p99 while one spins and is killed: beside alone",
    bound: "<= 2",
    unit: "x",
    of: besideKill(tables.besideKill, "agentlip, process")
  },
  {
    what: "another WebAssembly guest's p99 while one spins and is killed: beside alone",
    bound: "<= 2",
    unit: "x",
    of: besideKill(tables.besideKill, "agentlip, wasm")
  },
  {
    what: "process level, warm, 64 callers: beside thread level",
    bound: ">= 1",
    unit: "x",
    of: against(tables.warm, "agentlip, process", "agentlip")
  },
  {
    what: "process level, fresh, spare ready, p50: beside a bare spawn and its first answer",
    bound: "<= 0.08",
    unit: "x",
    of: against(tables.fresh, "agentlip, process", "bare spawn of node")
  },
  {
    what: "fresh isolates, 4 callers without a pause: beside new Worker",
    bound: ">= 0.8",
    unit: "x",
    of: against(tables.freshMany, "agentlip", "bare new Worker")
  },
  {
    what: "POST /messages, no plugins: beside the baseline",
    bound: ">= 0.7",
    unit: "x",
    of: against(tables.posts, "agentlip, no plugins", baseline)
  },
  {
    what: "POST /messages, no plugins, p99: beside the baseline",
    bound: "<= 1",
    unit: "x",
    of: against(tables.postsTail, "agentlip, no plugins", baseline)
  },
  {
    what: "POST /messages, no plugins, processor time of the main thread: beside the baseline",
    bound: "<= 1.43",
    unit: "x",
    of: against(tables.postsCpu, "agentlip, no plugins", baseline)
  },
  {
    what: "POST /messages with 3 plugins: beside none",
    bound: ">= 0.9",
    unit: "x",
    of: against(tables.posts, "agentlip, 3 plugins", "agentlip, no plugins")
  },
  {
    what: "post -> findings of 3 process plugins, at the highest rate of posts",
    bound: ">= 1500",
    unit: "msg/s",
    of: absolute(tables.sustained, "agentlip, 3 plugins")
  },
  {
    what: "messages with open jobs, at most, at that rate",
    bound: "<= 5000",
    unit: "messages",
    of: absolute(tables.backlog, "agentlip, 3 plugins")
  },
  {
    what: "post -> last finding at 100 posts a second, p50",
    bound: "<= 8",
    unit: "ms",
    of: absolute(tables.found, "agentlip, 3 plugins")
  },
  {
    what: "post -> last finding at 100 posts a second, p99",
    bound: "<= 40",
    unit: "ms",
    of: absolute(tables.foundTail, "agentlip, 3 plugins")
  },
  {
    what: "hub start -> ready, no plugins",
    bound: "<= 500",
    unit: "ms",
    of: absolute(tables.start, "hub, no plugins")
  },
  {
    what: "hub start -> ready, 5 process plugins",
    bound: "<= 1000",
    unit: "ms",
    of: absolute(tables.start, "hub, 5 process plugins")
  },
  {
    what: "idle hub without plugins: resident memory",
    bound: "<= 110",
    unit: "MB",
    of: absolute(tables.startMemory, "hub, no plugins")
  },
  {
    what: "agentlip --version: beside bare node -e 0",
    bound: "<= 2",
    unit: "x",
    of: against(tables.start, "command --version", "bare node -e 0")
  },
  {
    what: "agentlip channel list: processor time",
    bound: "<= 350",
    unit: "ms",
    of: absolute(tables.startCpu, "command channel list")
  },
  {
    what: "soak: the host's heap, last third of the readings beside the first",
    bound: "<= 1.1",
    unit: "x",
    of: (figures) => figures.find(({ table }) => table === tables.soakHeap)?.rounds ?? []
  },
  {
    what: "soak: the host's resident memory, last third of the readings beside the first",
    bound: "<= 1.1",
    unit: "x",
    of: (figures) => figures.find(({ table }) => table === tables.soakResident)?.rounds ?? []
  }
]

/** `unclear`: the bound lies between the best and the worst round. Then only a quieter machine can tell. */
export type Judgement = "met" | "missed" | "unclear"

export interface Verdict extends Summary {
  readonly what: string
  readonly bound: string
  readonly unit: string
  readonly judgement: Judgement
}

const judgementOf = (bound: string, { min, max }: Summary): Judgement => {
  const limit = Number(bound.slice(3))
  const [worst, best] = bound.startsWith("<") ? [-max, -min] : [min, max]
  const needed = bound.startsWith("<") ? -limit : limit
  if (worst >= needed) return "met"
  return best >= needed ? "unclear" : "missed"
}

/** Those budgets whose figures were measured. */
export const judge = (figures: ReadonlyArray<Figure>): ReadonlyArray<Verdict> =>
  budgets.flatMap(({ what, bound, unit, of }) => {
    const rounds = of(figures)
    if (rounds.length === 0) return []
    const found = summary(rounds)
    return [{ what, bound, unit, judgement: judgementOf(bound, found), ...found }]
  })

export const budgetTable = (verdicts: ReadonlyArray<Verdict>, markdown: boolean): string =>
  grid(
    [
      ["budget", "bound", "median", "rounds", ""],
      ...verdicts.map(({ what, bound, unit, judgement, median, min, max }) => [
        what,
        `${bound} ${unit}`,
        number(median),
        `${number(min)} - ${number(max)}`,
        judgement
      ])
    ],
    markdown
  )
