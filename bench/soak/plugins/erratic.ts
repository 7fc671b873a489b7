/* oxlint-disable no-console -- that is one of its deeds */
/** Does as others do, until a message has the word that sets it off. */
import { linkifier } from "@agentlip/plugin-runtime/plugin"

const never = new Promise<never>(() => {})

const deeds: { readonly [deed: string]: (context: { fetch: (url: string) => Promise<unknown> }) => unknown } =
  {
    hangs: () => {
      for (;;) Math.random()
    },
    waits: () => never,
    crashes: () => {
      setTimeout(() => {
        throw new Error("nobody can catch this")
      })
      return never
    },
    exits: () => process.exit(0),
    floods: () => {
      for (let line = 0; line < 20_000; line++) console.log(`all is well ${"!".repeat(200)}`)
      return []
    },
    garbage: () => ({ spans: "none of your business", length: Number.NaN }),
    hoards: () => {
      for (const hoard: Array<Uint8Array> = []; ; ) hoard.push(new Uint8Array(4 * 1024 * 1024).fill(1))
    },
    fetches: async ({ fetch }) => {
      await fetch("http://127.0.0.1:9/")
      return []
    },
    timers: () => {
      setInterval(() => Math.random(), 1_000)
      return []
    }
  }

export default linkifier<{ deed: string }>({
  name: "erratic",
  version: "1.0.0",
  // What it answers is judged by the runtime, not by the compiler.
  enrich: ({ message, config }, context) =>
    message.content_raw.includes(`#${config.deed}`) ? (deeds[config.deed]?.(context) as never) : []
})
