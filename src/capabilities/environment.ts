/** Resolves grants of environment variables to their values. */

/** Where values come from: `process.env`, or what stands for it. */
export type Environment = { readonly [name: string]: string | undefined }

const problemOf = (name: string): string | undefined => {
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    return `grants.env "${name}" is not the name of a variable; name each variable by itself, as in "HOME"`
  }
  return /^agentlip_/i.test(name)
    ? `grants.env "${name}" is the hub's own, which no plugin may see`
    : undefined
}

/** The values of the named variables, without those that are not set. */
export const resolveEnv = (
  names: ReadonlyArray<string>,
  environment: Environment
): { readonly env: { readonly [name: string]: string }; readonly problems: ReadonlyArray<string> } => {
  const problems = names.map(problemOf).filter((problem) => problem !== undefined)
  const values = names.flatMap((name) => {
    // `process.env` inherits from `Object.prototype` like any object.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    return value === undefined ? [] : [[name, value] as const]
  })
  return { env: Object.fromEntries(values), problems }
}
