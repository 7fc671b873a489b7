/** The conditions for `exports` and `imports` of packages: Node's own, and those the host was started with. */

/** The host's own `--conditions`, so that a plugin's dependencies resolve as the host's do. */
export const hostConditions = (flags: ReadonlyArray<string> = process.execArgv): ReadonlyArray<string> =>
  flags.flatMap((flag, index) => {
    if (flag.startsWith("--conditions=")) return [flag.slice("--conditions=".length)]
    const next = flags[index + 1]
    return (flag === "--conditions" || flag === "-C") && next !== undefined ? [next] : []
  })

const shared = ["node", "node-addons", "module-sync"]

export interface Conditions {
  readonly import: ReadonlySet<string>
  readonly require: ReadonlySet<string>
}

export const conditionsWith = (own: ReadonlyArray<string>): Conditions => ({
  import: new Set([...shared, "import", ...own]),
  require: new Set([...shared, "require", ...own])
})
