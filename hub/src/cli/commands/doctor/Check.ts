/** The result of one check of `agentlip doctor`. */
export interface Check {
  readonly name: string
  /** `problem`: something does not work. `warning`: it works, but should be changed. */
  readonly status: "ok" | "warning" | "problem"
  readonly message: string
  /** What to do about it. */
  readonly remedy?: string
}

/** Makes the three kinds of results for a check with this name. */
export const checkOf = (name: string) => ({
  ok: (message: string): Check => ({ name, status: "ok", message }),
  warning: (message: string, remedy: string): Check => ({ name, status: "warning", message, remedy }),
  problem: (message: string, remedy: string): Check => ({ name, status: "problem", message, remedy })
})

export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
