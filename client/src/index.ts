/** A promise-based client for an Agentlip hub: typed calls, and events that resume. Does not load Effect. */
export type { AnswerOf, CallName, CallOptions, Calls, RequestOf } from "./Calls.ts"
export type { ConnectionOptions, HubAddress, Locate } from "./connection.ts"
export { type EventOptions, isEvent } from "./events.ts"
export { type HubClient, type HubClientOptions, makeHubClient } from "./HubClient.ts"
export { HubError } from "./HubError.ts"
export type {
  AgentlipEvent,
  Attachment,
  Channel,
  Enrichment,
  ErrorCode,
  EventData,
  EventName,
  Finding,
  LiveEvent,
  Message,
  SearchIndex,
  SearchResult,
  Snippet,
  Topic
} from "@agentlip/protocol"
