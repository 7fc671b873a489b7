/** The hub's HTTP interface: every route except the WebSocket and the pages about the interface itself. */
import { HttpApi, OpenApi } from "effect/http-api"
import { Console, ConsoleSignIn } from "./ConsoleApi.ts"
import { DryRuns } from "./DryRunApi.ts"
import { eventSchemas } from "./Events.ts"
import { Health, Metrics } from "./HealthApi.ts"
import { Live } from "./LiveApi.ts"
import { completeDocument } from "./openApi.ts"
import { OperationReads, Operations } from "./OperationsApi.ts"
import { Reads } from "./ReadsApi.ts"
import { Search } from "./SearchApi.ts"
import { protocolVersions } from "./ServerFile.ts"
import { Writes } from "./WritesApi.ts"

export class Api extends HttpApi.make("agentlip-hub")
  .add(Health)
  .add(Reads)
  .add(Search)
  .add(Live)
  .add(Writes)
  .add(OperationReads)
  .add(Operations)
  .add(DryRuns)
  .add(ConsoleSignIn)
  .add(Console)
  .add(Metrics)
  .annotate(HttpApi.AdditionalSchemas, eventSchemas)
  .annotateMerge(
    OpenApi.annotations({
      title: "Agentlip hub",
      version: protocolVersions.protocol_version,
      description:
        "Messages of people and agents, and what plugins find in them. " +
        "The token for writes is in `.agentlip/server.json` of the hub's workspace. " +
        "Over the WebSocket `/ws` a hub sends the same events as `/api/v1/events/stream`.",
      transform: (document: Record<string, unknown>): Record<string, unknown> =>
        completeDocument(Api, document)
    })
  ) {}
