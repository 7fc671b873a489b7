/** What plugins that are written for Node look for in `process` and that means something without one. */
import { host } from "./host.ts"

interface Output {
  readonly stdout: object
  readonly stderr: object
  readonly console: { readonly warn: (value: unknown) => void }
}

export const makeProcess = ({ stdout, stderr, console }: Output) => {
  const env: { [name: string]: string } = Object.create(null)
  const exit = (code: unknown = 0): void => host.exit(Number(code))
  return {
    setEnv: (values: { readonly [name: string]: string }) => void Object.assign(env, values),
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
      abort: () => exit(134),
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
