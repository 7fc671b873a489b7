/** Talks to an Agentlip hub with promises: typed calls, and events that resume. Loads no Effect. */
export type { AnswerOf, CallName, CallOptions, Calls, RequestOf } from "./Calls.ts"
export { type EventOptions, isEvent } from "./events.ts"
export { type HubAddress, type HubClient, type HubClientOptions, makeHubClient } from "./HubClient.ts"
export { HubError } from "./HubError.ts"
export type {
  AgentlipEvent,
  Attachment,
  Channel,
  Enrichment,
  EventData,
  EventName,
  LiveEvent,
  Message,
  Topic
} from "@agentlip/protocol"
