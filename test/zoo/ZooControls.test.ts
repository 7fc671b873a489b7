/** The positive control of the zoo: where nothing holds it back, a rogue does the harm that is foretold of it. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as path from "node:path"
import { linkifier } from "../../src/PluginKinds.ts"
import type { BareReport } from "../support/bareHost.ts"
import { inBareHost, inTurn } from "../support/host.ts"
import { levels, message } from "../support/isolation.ts"
import { messageOf, taskOf } from "../support/meeting.ts"
import { makeWorld, type World } from "../support/world.ts"
import { type Harm, type Rogue, zoo } from "../support/zoo.ts"

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const isOutput = Schema.is(linkifier.output)
const isOdd = (value: unknown): boolean =>
  typeof value === "number"
    ? !Number.isFinite(value)
    : typeof value === "string" && (!value.isWellFormed() || value.includes("\0"))
const hasOdd = (value: unknown): boolean =>
  isOdd(value) ||
  (typeof value === "object" &&
    value !== null &&
    Object.entries(value).some(([key, inner]) => isOdd(key) || hasOdd(inner)))

const isLie = (value: unknown): boolean =>
  !isOutput(value) ||
  value.length > 1000 ||
  linkifier.check?.(value, { message }) !== undefined ||
  JSON.stringify(value).length > 1e6 ||
  /__proto__|(\[){20}/.test(JSON.stringify(value)) ||
  hasOdd(value)

/** For a control, in milliseconds: it may wait for the hosts of others before it. */
const patience = 120_000

/** MiB that a host with a worker that does nothing stays far below: it has 80. */
const most = 140

/** Whether a bare host came to the harm that was foretold. */
const came = (harm: Exclude<Harm, object>, report: BareReport | undefined, printed: number): boolean => {
  const values = report?.values ?? []
  const text = JSON.stringify(values)
  switch (harm) {
    case "hangs":
      return report?.outcome === "hung"
    case "dies":
      return report === undefined || report.outcome === "died"
    case "reaches":
    case "persists":
      return /"got":\["/.test(text) || world.leaks(text).length > 0
    case "connects":
    case "plants":
      return world.damage().length > 0
    case "lies":
      return values.some(isLie)
    case "forges":
      return text.includes('"forged"')
    case "grows":
      return report === undefined || report.outcome === "died" || report.memory > most
    case "floods":
      // What a worker prints waits in its host's memory.
      return printed > 1_000_000 || report?.outcome === "hung" || (report?.memory ?? 0) > most
  }
}

/** Hosts whose harm is seen in the world they share: they come one after the other. */
const isSeenInTheWorld = ({ harm }: Rogue): boolean => harm === "plants" || harm === "connects"

describe("a host that trusts them", () => {
  const [level] = levels
  if (level === undefined) return
  const inHost = (rogue: Rogue) => inBareHost(taskOf(world, level, rogue))
  const harmful = zoo.flatMap((rogue) =>
    typeof rogue.harm === "object" ? [] : [{ rogue, harm: rogue.harm }]
  )
  const liars = harmful.filter(({ harm }) => harm === "lies")
  const others = harmful.filter(({ rogue, harm }) => harm !== "lies" && !isSeenInTheWorld(rogue))
  const vandals = harmful.filter(({ rogue }) => isSeenInTheWorld(rogue))

  const assertCame = (harm: Exclude<Harm, object>, { report, printed }: Awaited<ReturnType<typeof inHost>>) =>
    assert.isTrue(came(harm, report, printed), `${JSON.stringify(report)?.slice(0, 500)}, printed ${printed}`)

  for (const { rogue } of liars) {
    it(`${rogue.name}: it lies`, async () => {
      // Values alone do no harm: this very process may take its word.
      const { default: plugin } = await import(path.join(world.plugins, rogue.file))
      const value: unknown = await plugin.enrich({ message: messageOf(rogue) })
      assert.isTrue(isLie(JSON.parse(JSON.stringify({ value })).value))
    })
  }

  const reports = inTurn(
    others.map(({ rogue }) => rogue),
    inHost
  )
  for (const { rogue, harm } of others) {
    it(`${rogue.name}: it ${harm}`, async () => assertCame(harm, await reports(rogue)), patience)
  }

  for (const { rogue, harm } of vandals) {
    it(
      `${rogue.name}: it ${harm}`,
      async () => {
        world.restore()
        world.damage()
        assertCame(harm, await inHost(rogue))
      },
      patience
    )
  }
})
