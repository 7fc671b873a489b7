/** Resolves grants of environment variables to their values. */
import { Result } from "effect"
import { allPrepared, type PrepareError, unprepared } from "../PrepareError.ts"

/** Where values come from, like `process.env`. */
export type Environment = { readonly [name: string]: string | undefined }

/** The names of variables that can be granted. */
export const variableName = /^[A-Za-z_]\w*$/

type Entries = ReadonlyArray<readonly [name: string, value: string]>

const resolveName = (name: string, environment: Environment): Result.Result<Entries, PrepareError> => {
  if (!variableName.test(name)) {
    return Result.fail(
      unprepared(
        `grants.env "${name}" is not the name of a variable`,
        'name each variable by itself, as in "HOME"'
      )
    )
  }
  if (/^agentlip_/i.test(name)) {
    return Result.fail(
      unprepared(`grants.env "${name}" belongs to the hub, and no plugin may see it`, "remove it")
    )
  }
  // `process.env` inherits from `Object.prototype` like any object.
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined
  return Result.succeed(value === undefined ? [] : [[name, value]])
}

/** The values of the named variables, without those that are not set. */
export const resolveEnv = (
  names: ReadonlyArray<string>,
  environment: Environment
): Result.Result<{ readonly [name: string]: string }, PrepareError> =>
  Result.map(allPrepared(names.map((name) => resolveName(name, environment))), (entries) =>
    Object.fromEntries(entries.flat())
  )
