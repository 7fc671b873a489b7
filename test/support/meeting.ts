/** How a rogue is configured, asked and put into a host of its own. */
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { linkifier } from "../../src/Plugin.ts"
import type { Task } from "./host.ts"
import { type Level, message, specOn } from "./isolation.ts"
import type { World } from "./world.ts"
import type { Rogue } from "./zoo.ts"

export const goodPath = fileURLToPath(new URL("../fixtures/good/echo.ts", import.meta.url))

export const specOf = (world: World, level: Level, rogue: Rogue) =>
  specOn(level, {
    // By file: rogues that differ in what they are asked only share an isolate, as one plugin's runs do.
    name: rogue.file,
    kind: linkifier,
    modulePath: path.join(world.plugins, rogue.file),
    config: { ...world.config, ...rogue.config },
    ...(rogue.timeout === undefined ? {} : { timeout: rogue.timeout }),
    ...(rogue.limits === undefined ? {} : { limits: rogue.limits })
  })

export const messageOf = ({ ask }: Rogue) => (ask === undefined ? message : { ...message, content_raw: ask })

export const taskOf = (world: World, mode: Task["mode"], level: Level, rogue: Rogue): Task => {
  const { modulePath, config } = specOf(world, level, rogue)
  const twice = rogue.harm === "persists" || rogue.harm === "forges"
  return { mode, level, rogue, modulePath, goodPath, config, message: messageOf(rogue), twice }
}
