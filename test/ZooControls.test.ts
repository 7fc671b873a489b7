/** The positive control of the zoo: where nothing holds it back, a rogue does the harm that is foretold of it. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as path from "node:path"
import { linkifier } from "../src/Plugin.ts"
import type { BareReport } from "./support/bareHost.ts"
import { inOwnHost } from "./support/host.ts"
import { levels, message } from "./support/isolation.ts"
import { messageOf, taskOf } from "./support/meeting.ts"
import { makeWorld, type World } from "./support/world.ts"
import { type Harm, zoo } from "./support/zoo.ts"

let world: World
beforeAll(async () => {
  world = await makeWorld()
})
afterAll(() => world.close())

const isOutput = Schema.is(linkifier.output)
const isLie = (value: unknown): boolean =>
  !isOutput(value) ||
  value.length > 1000 ||
  linkifier.check?.(value, { message }) !== undefined ||
  JSON.stringify(value).length > 1e6 ||
  /__proto__|(\[){20}/.test(JSON.stringify(value))

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
      return report === undefined || report.outcome === "died" || report.memory > 180
    case "floods":
      return printed > 1_000_000 || report?.outcome === "hung"
  }
}

describe("a host that trusts them", () => {
  const [level] = levels
  for (const rogue of zoo) {
    const { harm } = rogue
    if (typeof harm === "object" || level === undefined) continue
    if (harm === "lies") {
      it(`${rogue.name}: it lies`, async () => {
        // Values alone do no harm: this very process may take its word.
        const { default: plugin } = await import(path.join(world.plugins, rogue.file))
        const value: unknown = await plugin.enrich({ message: messageOf(rogue) })
        assert.isTrue(isLie(JSON.parse(JSON.stringify({ value })).value))
      })
      continue
    }
    it(`${rogue.name}: it ${harm}`, async () => {
      world.restore()
      world.damage()
      const { report, printed } = await inOwnHost<BareReport>(taskOf(world, "bare", level, rogue))
      assert.isTrue(
        came(harm, report, printed),
        `${JSON.stringify(report)?.slice(0, 500)}, printed ${printed}`
      )
    })
  }
})
