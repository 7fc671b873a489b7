/** Shows how far a long command is, on stderr. */

const cells = 30

const bar = (percent: number, what: string): string => {
  const full = Math.floor((cells * percent) / 100)
  return `[${"#".repeat(full)}${"-".repeat(cells - full)}] ${percent} %, ${what}`
}

export interface Progress {
  /** `percent` is a whole number, 0 to 100. */
  readonly at: (percent: number, what: string) => void
  readonly end: () => void
}

/** One line that is overwritten in a terminal, otherwise a line for every 10 percent. */
export const makeProgress = (): Progress => {
  const { stderr } = process
  let tenth = -1
  return stderr.isTTY
    ? {
        at: (percent, what) => void stderr.write(`\r\u001b[K${bar(percent, what)}`),
        end: () => void stderr.write("\n")
      }
    : {
        at: (percent, what) => {
          const now = Math.floor(percent / 10)
          if (now !== tenth) stderr.write(`${bar(percent, what)}\n`)
          tenth = now
        },
        end: () => {}
      }
}
