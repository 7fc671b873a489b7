/** A `fetch` that a run leaves open ends with that run: no later run gets its response. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Logger, Queue } from "effect"
import type { ServerResponse } from "node:http"
import * as path from "node:path"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"
import { serve } from "../support/net.ts"
import { dataOf, temporary, write } from "../support/plugins.ts"

/** "leave" asks and answers without waiting; "take" asks and answers with what it is told, and what came beside it. */
const source = `
  const came = []
  export default {
    name: "asking", version: "1.0.0",
    async enrich({ message, config }, { fetch, log }) {
      const [order, n] = message.content_raw.split(" ")
      const asked = fetch(config.origin + "/" + order + "/" + n).then((response) => response.text())
      let text = "none"
      if (order === "take") text = await asked
      else {
        asked.then((text) => { came.push(text); log.info("late " + text) }, () => {})
        // So that the request is on its way: a server has heard of it.
        await fetch(config.origin + "/heard/" + n).then((response) => response.text())
      }
      return [{ kind: "answer", span: { start: 0, end: 1 }, data: { n, text, came: came.join() } }]
    }
  }`

const askingOn = (level: (typeof levels)[number]) =>
  Effect.map(temporary, (folder) => {
    const modulePath = write(path.join(folder, "asking.mjs"), source)
    return (origin: string, port: number) =>
      specOn(level, {
        name: "asking",
        kind: linkifier,
        modulePath,
        timeout: "15 seconds",
        config: { origin },
        grants: { net: [`127.0.0.1:${port}`] }
      })
  })

for (const level of levels) {
  describe(`A fetch that is left open on ${level.name}`, () => {
    it.live("is closed with its run, and no other run gets its response", () =>
      Effect.gen(function* () {
        const asking = yield* askingOn(level)
        const left = new Map<string, ServerResponse>()
        const closed = yield* Queue.unbounded<string>()
        const heard = new Map<string, ServerResponse>()
        const tell = (n: string): void => {
          if (left.has(n)) heard.get(n)?.end("heard")
        }
        const { origin, port } = yield* serve((request, response) => {
          const [, order = "", n = ""] = request.url?.split("/") ?? []
          if (order === "take") {
            // What the runs before it have asked for is answered now, as far as anybody is there to hear it.
            for (const [other, response] of left) response.end(`late ${other}`)
            response.end(`for ${n}`)
          } else if (order === "heard") {
            heard.set(n, response)
            tell(n)
          } else {
            left.set(n, response)
            response.on("close", () => Queue.offerUnsafe(closed, n))
            // Its head has come, and its body never does.
            if (Number(n) % 2 === 0) response.write("half of an answer")
            tell(n)
          }
        })
        const runtime = yield* PluginRuntime
        const spec = asking(origin, port)
        const said: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          said.push(Array.isArray(message) ? message.join(" ") : String(message))
        })
        const rounds = level.reuse === "plugin" ? 16 : 4
        const orders = Array.from({ length: rounds }, (_, n) => (n % 4 === 3 ? "take" : "leave"))
        const outputs = yield* Effect.forEach(
          orders,
          (order, n) => runtime.run(spec, { message: { ...message, content_raw: `${order} ${n}` } }),
          { concurrency: "unbounded" }
        ).pipe(Effect.provide(Logger.layer([logger])))
        assert.deepStrictEqual(
          outputs.map(dataOf),
          orders.map((order, n) => ({ n: String(n), text: order === "take" ? `for ${n}` : "none", came: "" }))
        )
        // Of a kept isolate its author is told, once, what that costs; nothing else is said.
        assert.deepStrictEqual(
          said.filter((line) => !line.startsWith("it left a request open")),
          []
        )
        assert.isAtMost(said.length, 1)
        // Each that was left is closed, and nobody had to answer it for that.
        const all = orders.flatMap((order, n) => (order === "leave" ? [String(n)] : []))
        const gone = yield* Effect.forEach(all, () => Queue.take(closed))
        assert.deepStrictEqual(new Set(gone), new Set(all))
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()), Effect.timeout("15 seconds"))
    )

    it.live("without a response is closed before its run's output is returned", () =>
      Effect.gen(function* () {
        const asking = yield* askingOn(level)
        const closed = yield* Deferred.make<void>()
        const asked = yield* Deferred.make<void>()
        const { origin, port } = yield* serve((request, response) => {
          if (request.url?.startsWith("/heard") === true) {
            Effect.runFork(
              Effect.andThen(
                Deferred.await(asked),
                Effect.sync(() => response.end("heard"))
              )
            )
            return
          }
          Deferred.doneUnsafe(asked, Effect.void)
          response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        })
        const runtime = yield* PluginRuntime
        const spec = asking(origin, port)
        yield* runtime.run(spec, { message: { ...message, content_raw: "leave 1" } })
        // The runtime is still there: it is the run whose end has closed it.
        yield* Deferred.await(closed)
      }).pipe(Effect.scoped, Effect.provide(layerRuntime()), Effect.timeout("15 seconds"))
    )
  })
}
