/** What plugins that are written for Node look for in `process` and that means something without one. */
import type { LoadRequest } from "../protocol.ts"
import { host } from "./host.ts"

interface Output {
  readonly stdout: object
  readonly stderr: object
  readonly console: { readonly warn: (value: unknown) => void }
}

/** `report` is told of variables that are looked for and not granted, while there is an audit. */
export const makeProcess = ({ stdout, stderr, console }: Output, report: (name: string) => void) => {
  const values: { [name: string]: string } = Object.create(null)
  let audited = false
  const env = new Proxy(values, {
    get: (target, name) => {
      if (audited && typeof name === "string" && !(name in target)) report(name.slice(0, 200))
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
      // Libraries tell Node by `versions.node`.
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
