import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as http from "node:http"
import { gunzipSync } from "node:zlib"
import { Sessions } from "../src/console/Sessions.ts"
import { commandsOf } from "./cli.ts"
import { makeTopic, startHub, type TestHub } from "./testHub.ts"

interface Reply {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly bytes: Buffer
  readonly text: string
}

/** With any header, such as those that `fetch` sets by itself. */
const ask = (
  hub: Pick<TestHub, "url">,
  method: string,
  path: string,
  headers: Record<string, string | Array<string>> = {},
  body?: unknown
) =>
  Effect.promise(
    () =>
      new Promise<Reply>((resolve, reject) => {
        const request = http.request(`${hub.url}${path}`, { method, headers, agent: false }, (response) => {
          const parts: Array<Buffer> = []
          response.on("data", (part) => parts.push(part))
          response.on("end", () => {
            const bytes = Buffer.concat(parts)
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              bytes,
              text: bytes.toString()
            })
          })
        })
        request.on("error", reject)
        request.end(body === undefined ? undefined : JSON.stringify(body))
      })
  )

/** What a browser sends from a page of the hub itself. */
const fromPage = (hub: Pick<TestHub, "url">) => ({
  origin: hub.url,
  "sec-fetch-site": "same-origin",
  "sec-fetch-mode": "cors",
  "sec-fetch-dest": "empty",
  "content-type": "application/json"
})

const codeOf = (hub: TestHub) =>
  Effect.map(hub.post("/api/v1/console/links", {}), ({ body }) => String(body.path).split("#")[1] ?? "")

const signIn = Effect.fnUntraced(function* (hub: TestHub, headers: Record<string, string> = {}) {
  const code = yield* codeOf(hub)
  const reply = yield* ask(
    hub,
    "POST",
    "/api/v1/console/sessions",
    { ...fromPage(hub), ...headers },
    { code }
  )
  assert.strictEqual(reply.status, 201, reply.text)
  const setCookie = reply.headers["set-cookie"]?.[0] ?? ""
  const session = {
    ...fromPage(hub),
    cookie: setCookie.split(";")[0] ?? "",
    authorization: `Session ${JSON.parse(reply.text).key}`
  }
  return { code, setCookie, session }
})

const post = (hub: TestHub, topic: string, headers: Record<string, string | Array<string>>) =>
  ask(hub, "POST", "/api/v1/messages", headers, { topic_id: topic, sender: "ada", content_raw: "x" })

const without = (headers: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(headers).filter(([other]) => other !== name))

describe("links to the console", () => {
  it.live("need the token, work once, and start a session that can do what the token can", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ readAuth: true })
      const { topic } = yield* makeTopic(hub)
      assert.strictEqual((yield* hub.post("/api/v1/console/links", {}, { token: null })).status, 401)

      const { code, setCookie, session } = yield* signIn(hub)
      assert.match(setCookie, /^agentlip_\d+=[\w-]{43}; Path=\/api\/v1; HttpOnly; SameSite=Strict$/)
      assert.strictEqual((yield* ask(hub, "GET", "/api/v1/channels", session)).status, 200)
      assert.strictEqual((yield* post(hub, topic, session)).status, 201)

      const again = yield* ask(hub, "POST", "/api/v1/console/sessions", fromPage(hub), { code })
      assert.strictEqual(again.status, 401)
      assert.include(again.text, "agentlip open")
      for (const wrong of ["", "x", code.slice(1)]) {
        const refused = yield* ask(hub, "POST", "/api/v1/console/sessions", fromPage(hub), { code: wrong })
        assert.strictEqual(refused.status, 401)
        assert.isUndefined(refused.headers["set-cookie"])
      }
    })
  )

  it.live("never lead to the token", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { session } = yield* signIn(hub)
      const seen = [
        ...Object.values(session),
        ...(yield* Effect.forEach(["/", "/open", "/ui/x"], (path) => ask(hub, "GET", path))).map(
          ({ text, headers }) => text + JSON.stringify(headers)
        ),
        (yield* ask(hub, "GET", "/api/v1/console/session", session)).text
      ]
      for (const text of seen) assert.notInclude(text, hub.token)
    })
  )

  it.live("are printed by agentlip open, with the code in the fragment", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const agentlip = commandsOf(hub.workspace)
      const { json } = yield* agentlip("open", "--no-browser", "--json")
      assert.match(json.url, /^http:\/\/127\.0\.0\.1:\d+\/open#[\w-]{43}$/)
      assert.isFalse(json.opened)
      const { out } = yield* agentlip("open", "--no-browser")
      assert.match(out, /^http:\/\/127\.0\.0\.1:\d+\/open#[\w-]{43}\n/)
      assert.notInclude(out, hub.token)
      const code = String(json.url).split("#")[1]
      assert.strictEqual(
        (yield* ask(hub, "POST", "/api/v1/console/sessions", fromPage(hub), { code })).status,
        201
      )
    })
  )
})

describe("sessions of the console", () => {
  it.live("need both halves, from a page of the hub", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const { session } = yield* signIn(hub)
      const other = (yield* signIn(hub)).session
      assert.strictEqual((yield* post(hub, topic, session)).status, 201)
      const attempts: Record<string, Record<string, string>> = {
        "no cookie": without(session, "cookie"),
        "no key": without(session, "authorization"),
        "the key of another session": { ...session, authorization: other.authorization },
        "the key as a token": {
          ...session,
          authorization: session.authorization.replace("Session", "Bearer")
        },
        "no fetch metadata": without(session, "sec-fetch-site"),
        "no origin": without(session, "origin"),
        "an address that was typed": { ...without(session, "origin"), "sec-fetch-site": "none" }
      }
      for (const [name, headers] of Object.entries(attempts)) {
        assert.strictEqual((yield* post(hub, topic, headers)).status, 401, name)
      }
      for (const [name, headers] of Object.entries({
        "another site": { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
        "another port": { origin: "http://127.0.0.1:1", "sec-fetch-site": "same-site" },
        "a sandboxed page": { origin: "null", "sec-fetch-site": "cross-site" },
        "a name that points here": { host: "evil.example", origin: "http://evil.example" }
      })) {
        assert.strictEqual((yield* post(hub, topic, { ...session, ...headers })).status, 403, name)
      }
      assert.strictEqual((yield* hub.rows("SELECT id FROM messages")).length, 1)
    })
  )

  it.live("take no id that a browser had before, and other cookies do no harm", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const planted = `agentlip_${new URL(hub.url).port}=${"A".repeat(43)}`
      const { session } = yield* signIn(hub, { cookie: planted })
      assert.notInclude(session.cookie, "AAAA")
      assert.strictEqual((yield* post(hub, topic, { ...session, cookie: planted })).status, 401)
      assert.strictEqual(
        (yield* post(hub, topic, { ...session, cookie: `${planted}; x=y; ${session.cookie}` })).status,
        201
      )
    })
  )

  it.live("end at a sign-out and with the hub", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const { topic } = yield* makeTopic(hub)
      const { session } = yield* signIn(hub)
      const out = yield* ask(hub, "POST", "/api/v1/console/sessions/end", session, {})
      assert.strictEqual(out.text, '{"ended":true}')
      assert.match(out.headers["set-cookie"]?.[0] ?? "", /Max-Age=0/)
      assert.strictEqual((yield* post(hub, topic, session)).status, 401)

      const { session: kept } = yield* signIn(hub)
      const next = yield* startHub()
      const moved = {
        ...kept,
        ...fromPage(next),
        cookie: kept.cookie.replace(/_\d+/, `_${new URL(next.url).port}`)
      }
      assert.strictEqual((yield* ask(next, "GET", "/api/v1/console/session", moved)).status, 401)
    })
  )
})

describe("the live events of a session", () => {
  it.live(
    "end with the session: at its sign-out in another tab, and when newer sessions take its place",
    () =>
      Effect.gen(function* () {
        const hub = yield* startHub({ readAuth: true })
        /** Resolves when the hub has ended the stream. */
        const follow = (session: Record<string, string>) =>
          Effect.promise(
            () =>
              new Promise<{ readonly ended: Promise<void> }>((resolve, reject) => {
                const path = "/api/v1/events/stream"
                const request = http.request(
                  `${hub.url}${path}`,
                  { headers: session, agent: false },
                  (response) => {
                    assert.strictEqual(response.statusCode, 200)
                    resolve({
                      ended: new Promise((ended) => {
                        response.on("end", () => ended())
                        response.resume()
                      })
                    })
                  }
                )
                request.on("error", reject)
                request.end()
              })
          )
        const { session } = yield* signIn(hub)
        const { session: other } = yield* signIn(hub)
        const stream = yield* follow(session)
        const otherStream = yield* follow(other)
        yield* ask(hub, "POST", "/api/v1/console/sessions/end", session, {})
        yield* Effect.promise(() => stream.ended)
        assert.strictEqual((yield* ask(hub, "GET", "/api/v1/events/stream", session)).status, 401)
        // The hub keeps 128 sessions.
        for (let count = 0; count < 128; count++) yield* signIn(hub)
        yield* Effect.promise(() => otherStream.ended)
      })
  )

  it.effect("end when the session was not used for seven days, and not before", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const session = sessions.open(sessions.makeLink().code)
      assert.isDefined(session)
      const ended = yield* Effect.forkChild(sessions.ended(session), { startImmediately: true })
      yield* TestClock.adjust("6 days")
      assert.isTrue(sessions.isOpen(session))
      yield* TestClock.adjust("6 days")
      assert.isUndefined(ended.pollUnsafe())
      yield* TestClock.adjust("1 day")
      yield* Fiber.join(ended)
      assert.isFalse(sessions.isOpen(session))
      yield* sessions.ended(session)
    }).pipe(Effect.provide(Sessions.layer))
  )
})

describe("the page of the console", () => {
  it.live("is served with a strict policy, compressed, and to everyone", () =>
    Effect.gen(function* () {
      const hub = yield* startHub({ readAuth: true })
      const page = yield* ask(hub, "GET", "/")
      assert.strictEqual(page.status, 200, page.text)
      for (const path of ["/open", "/ui", "/ui/", "/ui/topics/x", "/ui/plugins"]) {
        assert.strictEqual((yield* ask(hub, "GET", path)).text, page.text, path)
      }
      const policy = String(page.headers["content-security-policy"])
      for (const part of [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "script-src 'self'",
        "style-src 'self'"
      ]) {
        assert.include(policy, part)
      }
      assert.notMatch(policy, /unsafe|https?:|\*/)
      assert.strictEqual(page.headers["x-content-type-options"], "nosniff")
      assert.notMatch(page.text, /<script(?![^>]*src=)|<style|\son\w+=|https?:/)

      const etag = String(page.headers["etag"])
      assert.strictEqual((yield* ask(hub, "GET", "/", { "if-none-match": etag })).status, 304)

      const files = [...page.text.matchAll(/"(\/console\/[^"]+)"/g)].map(([, file]) => String(file))
      assert.strictEqual(files.length, 3)
      let total = 0
      for (const file of files) {
        const plain = yield* ask(hub, "GET", file)
        const packed = yield* ask(hub, "GET", file, { "accept-encoding": "br, gzip" })
        assert.strictEqual(packed.headers["content-encoding"], "gzip")
        assert.deepStrictEqual(gunzipSync(packed.bytes), plain.bytes)
        assert.match(String(plain.headers["cache-control"]), /immutable/)
        const refused = yield* ask(hub, "GET", file, { "accept-encoding": "gzip;q=0" })
        assert.isUndefined(refused.headers["content-encoding"])
        total += packed.bytes.length
      }
      assert.isBelow(total, 60_000)
      assert.strictEqual((yield* ask(hub, "GET", "/console/none.js")).status, 404)
      assert.strictEqual((yield* ask(hub, "GET", "/console/..%2f..%2fpackage.json")).status, 404)
      assert.strictEqual((yield* ask(hub, "POST", "/", {}, {})).status, 405)
    })
  )

  it.live("may be the target of a link on another site, and nothing else may", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const visit = {
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document"
      }
      assert.strictEqual((yield* ask(hub, "GET", "/ui/topics/x", visit)).status, 200)
      const file = /"(\/console\/[^"]+js)"/.exec((yield* ask(hub, "GET", "/")).text)?.[1] ?? ""
      for (const [path, headers] of [
        ["/api/v1/channels", visit],
        ["/", { ...visit, "sec-fetch-dest": "iframe" }],
        ["/", { ...visit, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" }],
        [file, { ...visit, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" }],
        ["/", { ...visit, host: "evil.example" }]
      ] as const) {
        assert.strictEqual((yield* ask(hub, "GET", path, headers)).status, 403, JSON.stringify(headers))
      }
    })
  )
})

describe("agentlip open", () => {
  it.live("writes the page that goes to the link for its user only, if it opens a browser", () =>
    Effect.gen(function* () {
      const hub = yield* startHub()
      const display = process.env["DISPLAY"]
      const path = process.env["PATH"]
      // A desktop without the program that opens files.
      process.env["DISPLAY"] = ":77"
      process.env["PATH"] = "/nothing"
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (display === undefined) delete process.env["DISPLAY"]
          else process.env["DISPLAY"] = display
          process.env["PATH"] = path
        })
      )
      const { json } = yield* commandsOf(hub.workspace)("open", "--json")
      assert.isFalse(json.opened)
      const file = `${hub.workspace}/.agentlip/open.html`
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      assert.include(fs.readFileSync(file, "utf8"), json.url)
    })
  )
})
