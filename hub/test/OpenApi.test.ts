/** The OpenAPI document and the page made of it. */
import { Api, errors } from "@agentlip/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpApi } from "effect/http-api"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import { type Json, startHub } from "./testHub.ts"

const operationsOf = (document: Json): ReadonlyArray<readonly [name: string, operation: Json]> =>
  Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.entries<Json>(item).map(([method, operation]): [string, Json] => [
      `${method.toUpperCase()} ${path}`,
      operation
    ])
  )

describe("The OpenAPI document", () => {
  it.live("has every route, each with a summary, and describes every parameter and error", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { body } = yield* hub.get("/openapi.json")
      const operations = operationsOf(body)
      const declared: Array<string> = []
      HttpApi.reflect(Api, {
        onGroup: () => {},
        onEndpoint: ({ endpoint: { method, path } }) =>
          declared.push(`${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`)
      })
      assert.deepStrictEqual(operations.map(([name]) => name).toSorted(), declared.toSorted())
      assert.includeMembers(declared, ["GET /api/v1/events/stream", "GET /metrics", "GET /health"])
      const summaries = operations.map(([name, { summary }]) => {
        assert.match(summary ?? "", /^[A-Z].{5,}[^.]$/, name)
        return summary
      })
      assert.strictEqual(new Set(summaries).size, summaries.length)
      for (const [name, { parameters, responses }] of operations) {
        for (const parameter of parameters) {
          assert.match(parameter.description ?? "", /^.{5,}\.$/, `${name}: ${parameter.name}`)
          // A number is a number with its bounds, not a text with a pattern.
          if (parameter.in === "query")
            assert.notProperty(parameter.schema, "anyOf", `${name}: ${parameter.name}`)
        }
        for (const [status, response] of Object.entries<Json>(responses)) {
          if (Number(status) < 400) continue
          assert.match(response.description, /\.$/, `${name}: ${status}`)
        }
        for (const status of ["403", "429", "500", "503"]) assert.property(responses, status, name)
      }
      const { schema } = body.paths["/api/v1/events"].get.parameters.find(
        ({ name }: Json) => name === "limit"
      )
      assert.deepInclude(body.components.securitySchemes, { bearer: { type: "http", scheme: "bearer" } })
      assert.deepStrictEqual(schema, { type: "integer", minimum: 1, maximum: 1000 })
      assert.includeMembers(Object.keys(body.components.schemas), ["message.created", "plugin.failed"])
    })
  )

  it("has the codes and statuses of docs/protocol.md", () => {
    const text = fs.readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8")
    const documented = text.split("\n").flatMap((line) => {
      const [, codes = "", status = ""] =
        /^\| ((?:`[A-Z_]+`(?:, )?)+)(?: \*\(added\)\*)? \| (\d{3})/.exec(line) ?? []
      return [...codes.matchAll(/[A-Z_]+/g)].map(([code]): [string, number] => [code, Number(status)])
    })
    const declared = Object.entries(errors).map(([code, { status }]): [string, number] => [code, status])
    assert.deepStrictEqual(new Map(documented), new Map(declared))
  })
})

describe("GET /docs", () => {
  const read = (url: string) =>
    Effect.promise(() => fetch(url).then(async (answer) => ({ answer, page: await answer.text() })))

  it.live("runs only the scripts in it and connects only to the hub", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { answer, page } = yield* read(`${hub.url}/docs`)
      assert.strictEqual(answer.status, 200)
      assert.match(answer.headers.get("content-type") ?? "", /^text\/html/)
      assert.strictEqual(answer.headers.get("x-content-type-options"), "nosniff")
      const policy = answer.headers.get("content-security-policy") ?? ""
      const directives = new Map(
        policy.split("; ").map((one) => [one.split(" ")[0], one.split(" ").slice(1)])
      )
      assert.deepStrictEqual(directives.get("default-src"), ["'none'"])
      assert.deepStrictEqual(directives.get("connect-src"), ["'self'"])
      assert.deepStrictEqual(directives.get("frame-ancestors"), ["'none'"])
      const scripts = [...page.matchAll(/<script[^>]*>([^]*?)<\/script>/g)].map(([, script = ""]) => script)
      assert.deepStrictEqual(
        directives.get("script-src"),
        scripts.map((script) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`)
      )
      assert.strictEqual(scripts.length, 2)
      assert.notMatch(page, /<(?:script|link|img)[^>]*(?:src|href)=/)
      assert.include(page, "Post a message")
      // Other responses keep the policy that allows nothing.
      const { headers } = yield* hub.get("/health")
      assert.strictEqual(headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'")
    })
  )

  it.live("needs no token with readAuth, because it holds nothing of the hub", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ readAuth: true })
      yield* hub.post("/api/v1/channels", { name: "the-secret-channel" })
      const { answer, page } = yield* read(`${hub.url}/docs`)
      assert.strictEqual(answer.status, 200)
      for (const secret of [hub.token, hub.workspace, "the-secret-channel"]) assert.notInclude(page, secret)
      const others = ["/docs/", "/docs/x", "/docsx", "/%64ocs"]
      for (const path of others) {
        const { answer } = yield* read(hub.url + path)
        assert.include([401, 404], answer.status, path)
      }
      assert.strictEqual((yield* hub.get("/openapi.json")).status, 401)
    })
  )
})
