/** A plugin's `process`: the members that plugins for Node read and that make sense without a process. */
import { cut } from "../shared/intrinsics.ts"
import type { LoadRequest } from "../../wire/messages.ts"
import { looksLikeVariable } from "../shared/names.ts"
import { host } from "./host.ts"

interface Output {
  readonly stdout: object
  readonly stderr: object
  readonly console: { readonly warn: (value: unknown) => void }
}

/** Makes a test for variable names that were not seen before. It remembers up to `maxMisses` names. */
const makeNews = (): ((name: string) => boolean) => {
  const seen: { [name: string]: true } = Object.create(null)
  let count = 0
  return (name) => {
    if (seen[name] === true || count >= maxMisses || !looksLikeVariable(name)) return false
    count++
    return (seen[name] = true)
  }
}

/** The most missing variables to report. */
const maxMisses = 50

/** `report` is called for variables that the plugin reads without a grant. */
export const makeProcess = ({ stdout, stderr, console }: Output, report: (name: string) => void) => {
  const values: { [name: string]: string } = Object.create(null)
  let audited = false
  // In audit mode all are reported; the host removes duplicates.
  const isNews = makeNews()
  const env = new Proxy(values, {
    get: (target, name) => {
      if (typeof name === "string" && !(name in target) && (audited || isNews(name)))
        report(cut(name, 0, 200))
      return Reflect.get(target, name)
    }
  })
  const exit = (code: unknown = 0): void => host.exit(Number(code))
  return {
    begin: (request: LoadRequest): void => {
      Object.assign(values, request.env)
      audited = request.audit !== undefined
    },
    process: {
      env,
      stdout,
      stderr,
      argv: [],
      // Libraries detect Node by `versions.node`.
      versions: {},
      version: "",
      platform: "wasm",
      cwd: () => "/",
      exit,
      nextTick: (callback: (...args: ReadonlyArray<unknown>) => unknown, ...args: ReadonlyArray<unknown>) =>
        queueMicrotask(() => callback(...args)),
      uptime: () => host.now() / 1000,
      hrtime: Object.assign(
        () => {
          const now = host.now()
          return [Math.floor(now / 1000), Math.round((now % 1000) * 1_000_000)]
        },
        { bigint: () => BigInt(Math.round(host.now() * 1_000_000)) }
      ),
      emitWarning: console.warn,
      on: () => {},
      once: () => {},
      off: () => {}
    }
  }
}
