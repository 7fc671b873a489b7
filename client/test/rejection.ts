/** The error of a promise that must reject. */
import { HubError } from "@agentlip/client"
import { assert } from "@effect/vitest"
import { Effect } from "effect"

export const rejection = (promise: Promise<unknown>): Effect.Effect<HubError> =>
  Effect.promise(() =>
    promise.then(
      () => assert.fail("it did not reject"),
      (error: unknown) => {
        assert.instanceOf(error, HubError)
        return error
      }
    )
  )
