/** What `agentlip doctor` says of one thing. */
export interface Check {
  readonly name: string
  /** `problem`: something does not work. `warning`: it works, and is not as it should be. */
  readonly status: "ok" | "warning" | "problem"
  readonly message: string
  /** What to do about it. */
  readonly remedy?: string
}

/** The three of a thing, by its name. */
export const checkOf = (name: string) => ({
  ok: (message: string): Check => ({ name, status: "ok", message }),
  warning: (message: string, remedy: string): Check => ({ name, status: "warning", message, remedy }),
  problem: (message: string, remedy: string): Check => ({ name, status: "problem", message, remedy })
})

export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
