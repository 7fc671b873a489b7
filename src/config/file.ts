/** Finds a workspace's config file and evaluates it. */
import { Effect } from "effect"
import * as fs from "node:fs"
// As a namespace: runtimes that lack `registerHooks` can still load this module.
import * as Module from "node:module"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { inspect } from "node:util"
import { ConfigError } from "../ConfigError.ts"
import { type FileStates, haveChanged, stateOf } from "../fileStates.ts"
import { realOf } from "../paths.ts"

export const fileNames = ["agentlip.config.ts", "agentlip.config.js", "agentlip.config.mjs"]

/** Bytes of a config file. */
const mostBytes = 1024 * 1024

/** How long a config file may take to load; it may ask a vault for secrets. */
const deadline = "30 seconds"

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

/** What was thrown, with the line of the config file that it came from, if known. */
const thrown = (error: unknown, url: string): string => {
  if (!(error instanceof Error)) return `throws ${inspect(error, { breakLength: Infinity, depth: 1 })}`
  const line = /^:(\d+)/.exec(error.stack?.split(url)[1] ?? "")?.[1]
  const isScript = error instanceof SyntaxError && /import statement|token 'export'/.test(error.message)
  const remedy = isScript ? '; if package.json says "type": "commonjs", write "type": "module" there' : ""
  return `${error.name}${line === undefined ? "" : ` in line ${line}`}: ${error.message}${remedy}`
}

/** What one evaluation read: the config file and its imports, without installed packages. */
interface Evaluation {
  readonly id: string
  readonly states: Map<string, string>
  failed: boolean
}

/** The last one of each config file. */
const evaluations = new Map<string, Evaluation>()
let count = 0

const isOwn = (url: string): boolean => url.startsWith("file:") && !url.includes("/node_modules/")
const marked = (url: string, id: string): string => `${url}?config=${id}`

/**
 * Makes Node evaluate the modules of this evaluation again, with a query in their URLs, because Node caches modules by
 * URL. This does not work for CommonJS modules: a change of one takes effect after a restart.
 */
const watchImports = ({ id, states }: Evaluation): (() => void) => {
  // Without hooks (Bun), a change of an imported file takes effect after a restart.
  if (typeof Module.registerHooks !== "function") return () => {}
  const hooks = Module.registerHooks({
    resolve: (specifier, context, next) => {
      const resolved = next(specifier, context)
      const { parentURL } = context
      const isCommonJs = context.conditions.includes("require") || resolved.format?.startsWith("commonjs")
      if (parentURL === undefined || isCommonJs || !isOwn(resolved.url)) return resolved
      const parent = parentURL.replace(/\?.*$/s, "")
      if (!parent.startsWith("file:") || !states.has(fileURLToPath(parent))) return resolved
      const file = fileURLToPath(resolved.url)
      if (!states.has(file)) states.set(file, stateOf(file))
      return { ...resolved, url: marked(resolved.url, id) }
    }
  })
  return () => hooks.deregister()
}

/** The files that the last evaluation of a config file read, with the file itself, also if it failed. */
export const filesOf = (file: string): FileStates => evaluations.get(realOf(file))?.states ?? new Map()

/** Evaluates the file and its imports, again if one has changed, and returns its default export. */
export const importDefault = Effect.fnUntraced(function* (file: string) {
  const { url, evaluation } = yield* Effect.try({
    try: () => {
      const real = realOf(file)
      // A read says better than an import why a file is unreadable, and an import would wait for a pipe.
      const stats = fs.statSync(real)
      if (!stats.isFile() && !stats.isDirectory()) throw new Error("it is not a regular file")
      if (stats.size > mostBytes) throw new Error(`it is larger than ${mostBytes} bytes`)
      fs.readFileSync(real)
      const last = evaluations.get(real)
      const isSame = last !== undefined && !last.failed && !haveChanged(last.states)
      const evaluation: Evaluation = isSame
        ? last
        : { id: String(++count), states: new Map([[real, stateOf(real)]]), failed: false }
      evaluations.set(real, evaluation)
      // A CommonJS config has a second cache, which knows no query.
      delete Module.createRequire(real).cache[real]
      return { url: marked(pathToFileURL(real).href, evaluation.id), evaluation }
    },
    catch: (error) => refused(file, `cannot be read: ${String(error)}`)
  })
  const namespace: { readonly default?: unknown } = yield* Effect.acquireUseRelease(
    Effect.sync(() => watchImports(evaluation)),
    () =>
      Effect.tryPromise({
        // A promise as the default export is waited for, as `await` in the file is.
        try: async () => {
          const namespace: { readonly default?: unknown } = await import(/* @vite-ignore */ url)
          return "default" in namespace ? { default: await namespace.default } : {}
        },
        catch: (error) => {
          evaluation.failed = true
          return refused(file, `cannot be loaded: ${thrown(error, url)}`)
        }
      }).pipe(
        Effect.timeoutOrElse({
          duration: deadline,
          orElse: () => {
            evaluation.failed = true
            const problem = `was not loaded within ${deadline}: what it, or a file that it imports, awaits does not settle`
            return Effect.fail(refused(file, problem))
          }
        })
      ),
    (stop) => Effect.sync(stop)
  )
  if ("default" in namespace) return namespace.default
  return yield* refused(
    file,
    "has no default export; write `export default { linkifiers: […], extractors: […] }`"
  )
})
