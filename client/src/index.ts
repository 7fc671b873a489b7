/** A promise-based client for an Agentlip hub: typed calls, and events that resume. Does not load Effect. */
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
