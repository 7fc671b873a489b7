/** A plugin's network in Node: `fetch` and its classes, connected to the host's broker. */
import { type GuestFetch, makeFetch } from "../fetch/makeFetch.ts"

export type Net = GuestFetch

/** `send` passes a JSON message to the broker. */
export const makeNodeFetch = (send: (json: string) => void): Net => makeFetch({ send, ReadableStream })
