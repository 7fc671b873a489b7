/** How a rogue is configured, asked and put into a host of its own. */
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { PluginSpecOptions } from "../../src/Plugin.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import type { Task } from "./hostTask.ts"
import { type Level, message, specOn } from "./isolation.ts"
import type { World } from "./world.ts"
import type { Rogue } from "./zoo.ts"

export const goodPath = fileURLToPath(new URL("../fixtures/good/echo.ts", import.meta.url))

type Options = PluginSpecOptions<typeof linkifier>

const optionsOf = (world: World, rogue: Rogue): Omit<Options, "kind"> => ({
  // By file: rogues that differ in what they are asked only share an isolate, as one plugin's runs do.
  name: rogue.file,
  modulePath: path.join(world.plugins, rogue.file),
  config: { ...world.config, ...rogue.config },
  // Those that are to answer have time for it on a busy machine, too.
  timeout: rogue.timeout ?? 15_000,
  ...(rogue.limits === undefined ? {} : { limits: rogue.limits }),
  ...(rogue.grants === undefined ? {} : { grants: rogue.grants(world) }),
  ...rogue.spec
})

export const specOf = (world: World, level: Level, rogue: Rogue) =>
  specOn(level, { ...optionsOf(world, rogue), kind: linkifier })

export const messageOf = ({ ask }: Rogue) => (ask === undefined ? message : { ...message, content_raw: ask })

/** How long a host that trusts it waits for a rogue's answer, in milliseconds: those that hang are not waited out. */
const patience = { hangs: 300, others: 10_000 }

/** How long it waits for what may come after an answer, in milliseconds. */
const linger = { floods: 500, twice: 200, others: 60 }

export const taskOf = (world: World, level: Level, rogue: Rogue): Task => {
  const { harm } = rogue
  const twice = harm === "persists" || harm === "forges"
  return {
    level,
    spec: optionsOf(world, rogue),
    goodPath,
    message: messageOf(rogue),
    twice,
    bare: rogue.bare ?? "worker",
    patience: harm === "hangs" ? patience.hangs : patience.others,
    linger: harm === "floods" ? linger.floods : twice ? linger.twice : linger.others,
    ...(harm === "grows" ? { enough: 250 } : {})
  }
}
