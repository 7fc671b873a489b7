/** A number of things, such as `1 job` or `2,000 jobs`. */
export const counted = (count: number, one: string): string =>
  `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`
