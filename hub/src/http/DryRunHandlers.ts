/** Tries plugins for their authors. */
import { Api, PayloadTooLarge } from "@agentlip/protocol"
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { maxMessageBytes } from "../messages/Messages.ts"
import { DryRuns } from "../plugins/DryRuns.ts"

export const DryRunHandlersLive = HttpApiBuilder.group(
  Api,
  "dryRuns",
  Effect.fnUntraced(function* (handlers) {
    const dryRuns = yield* DryRuns
    return handlers.handle("dryRun", ({ payload }) =>
      Buffer.byteLength(payload.text) > maxMessageBytes
        ? Effect.fail(new PayloadTooLarge({ error: `text: at most ${maxMessageBytes} bytes of UTF-8` }))
        : dryRuns.run(payload)
    )
  })
)
