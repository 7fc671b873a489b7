import { grouped } from "./grouped.ts"

/** A number of things, such as `1 job` or `2,000 jobs`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`
