/** A plugin's `process`: the members that plugins for Node read and that make sense without a process. */
import type { LoadRequest } from "../../wire/messages.ts"
import { watchedEnv } from "../shared/watchedEnv.ts"
import { host } from "./host.ts"

interface Output {
  readonly stdout: object
  readonly stderr: object
  readonly console: { readonly warn: (value: unknown) => void }
}

/** The most variables to report. */
const maxReports = 1_000

/** `report` is called for variables that the plugin reads without a grant. */
export const makeProcess = ({ stdout, stderr, console }: Output, report: (name: string) => void) => {
  const values: { [name: string]: string } = Object.create(null)
  let audited = false
  const reported: { [name: string]: true } = Object.create(null)
  let count = 0
  const env = watchedEnv(
    values,
    () => audited,
    (name) => {
      if (reported[name] === true || count >= maxReports) return
      count++
      reported[name] = true
      report(name)
    }
  )
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
