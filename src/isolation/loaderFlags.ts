/** How threads are started that resolve modules as the host does, for plugins. */

/** The conditions the host itself resolves by, so that a plugin's dependencies resolve as the host's do. */
const hostConditions = (): ReadonlyArray<string> =>
  process.execArgv.flatMap((flag, index, flags) =>
    flag.startsWith("--conditions=")
      ? [flag]
      : flag === "--conditions" || flag === "-C"
        ? [`--conditions=${flags[index + 1]}`]
        : []
  )

/** Flags of Node for such a thread; without the first, `import.meta.resolve` takes no parent. */
export const loaderFlags = (): Array<string> => [
  "--experimental-import-meta-resolve",
  "--no-warnings",
  ...hostConditions()
]
