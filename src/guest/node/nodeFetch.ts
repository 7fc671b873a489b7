/** A plugin's network in Node: `fetch` and its classes, answered by the host's broker. */
import { type GuestFetch, makeFetch } from "../fetch/makeFetch.ts"

export type Net = GuestFetch

/** `send` takes one JSON text for the broker. */
export const makeNodeFetch = (send: (json: string) => void): Net => makeFetch({ send, ReadableStream })
