/** Finds a workspace's config file and evaluates it. */
import { Effect } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { inspect } from "node:util"
import { ConfigError } from "../Errors.ts"
import { realOf } from "../paths.ts"

const fileNames = ["agentlip.config.ts", "agentlip.config.js", "agentlip.config.mjs"]

const refused = (file: string, problem: string): ConfigError =>
  new ConfigError({ file, problems: [{ path: "", problem }] })

/** The config file in `root`, if there is one. Two of them are an error: one would be ignored in silence. */
export const findConfigFile = (root: string): Effect.Effect<string | undefined, ConfigError> =>
  Effect.suspend(() => {
    // By name, not by target: a link to nothing is a config that cannot be read, not the absence of one.
    const found = fileNames.filter(
      (name) => fs.lstatSync(path.join(root, name), { throwIfNoEntry: false }) !== undefined
    )
    const [name] = found
    if (name === undefined) return Effect.succeed(undefined)
    const file = path.join(root, name)
    return found.length === 1
      ? Effect.succeed(file)
      : Effect.fail(refused(file, `is not the only config file here (${found.join(", ")}); keep one`))
  })

/** Whatever was thrown, with the line of the config file it came from, if that can be told. */
const thrown = (error: unknown, url: string): string => {
  if (!(error instanceof Error)) return `throws ${inspect(error, { breakLength: Infinity, depth: 1 })}`
  const line = /^:(\d+)/.exec(error.stack?.split(url)[1] ?? "")?.[1]
  return `${error.name}${line === undefined ? "" : ` in line ${line}`}: ${error.message}`
}

/** Evaluates the file, once per content, and answers its default export. */
export const importDefault = Effect.fnUntraced(function* (file: string) {
  const url = yield* Effect.try({
    try: () => {
      const hash = createHash("sha256").update(fs.readFileSync(file)).digest("hex").slice(0, 16)
      return `${pathToFileURL(realOf(file)).href}?content=${hash}`
    },
    catch: (error) => refused(file, `cannot be read: ${String(error)}`)
  })
  // A CommonJS config has a second cache, which knows no query.
  delete createRequire(file).cache[realOf(file)]
  const namespace: { readonly default?: unknown } = yield* Effect.tryPromise({
    try: () => import(/* @vite-ignore */ url),
    catch: (error) => refused(file, `cannot be loaded: ${thrown(error, url)}`)
  })
  if ("default" in namespace) return namespace.default
  return yield* refused(
    file,
    "has no default export; write `export default { linkifiers: […], extractors: […] }`"
  )
})
