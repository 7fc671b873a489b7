/** How the client follows events while the network gives no answer. */
import { type HubError, makeHubClient } from "@agentlip/client"
import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"

describe("Following events", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  for (const after of [undefined, 0]) {
    it(`tries again if an attempt gets no answer, ${after === undefined ? "from now on" : "from an event on"}`, async () => {
      let attempts = 0
      // It accepts the request, and nothing comes back until the caller gives up.
      const swallowing = (_: unknown, init?: RequestInit) =>
        new Promise<Response>((_, reject) => {
          attempts++
          init?.signal?.addEventListener("abort", () => reject(init.signal?.reason))
        })
      const lost: Array<HubError | undefined> = []
      const stop = new AbortController()
      const events = makeHubClient(() => ({ url: "http://127.0.0.1:1" }), { fetch: swallowing }).follow({
        ...(after === undefined ? {} : { after }),
        signal: stop.signal,
        onConnection: (_, reason) => lost.push(reason)
      })
      const ended = events.next()
      await vi.advanceTimersByTimeAsync(29_000)
      assert.strictEqual(attempts, 1)
      await vi.advanceTimersByTimeAsync(10_000)
      assert.strictEqual(attempts, 2)
      assert.deepStrictEqual(
        lost.map((error) => error?.code),
        ["UNREACHABLE"]
      )
      stop.abort()
      await vi.runAllTimersAsync()
      assert.isTrue((await ended).done)
    })
  }

  it("tries again if a refusal stops in the middle of its text", async () => {
    let attempts = 0
    // A proxy sends the start of its error page, and then nothing.
    const stalling = async (_: unknown, init?: RequestInit) => {
      attempts++
      const body = new ReadableStream<Uint8Array>({
        start(stream) {
          stream.enqueue(new TextEncoder().encode("<html>"))
          init?.signal?.addEventListener("abort", () => stream.error(init.signal?.reason))
        }
      })
      return new Response(body, { status: 503 })
    }
    const stop = new AbortController()
    const events = makeHubClient(() => ({ url: "http://127.0.0.1:1" }), { fetch: stalling }).follow({
      after: 0,
      signal: stop.signal
    })
    const ended = events.next()
    await vi.advanceTimersByTimeAsync(29_000)
    assert.strictEqual(attempts, 1)
    await vi.advanceTimersByTimeAsync(10_000)
    assert.strictEqual(attempts, 2)
    stop.abort()
    await vi.runAllTimersAsync()
    assert.isTrue((await ended).done)
  })
})
