/** Copies what a config file exports. Each property is read once, so a getter that throws is a problem like others. */
import type { ConfigProblem } from "../ConfigError.ts"
import { pathText, shown } from "../text.ts"

type Path = ReadonlyArray<PropertyKey>

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  // Objects of another realm count too, if they inherit only from its `Object`.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

const reason = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : shown(error)

/** Copies objects and lists. The schema checks everything else. Adds problems to `problems`. */
export const snapshotOf = (
  value: unknown,
  problems: Array<ConfigProblem>,
  path: Path = [],
  above: ReadonlyArray<object> = []
): unknown => {
  if (typeof value !== "object" || value === null) return value
  try {
    // A circular value is no JSON; the schema reports it.
    if (above.includes(value)) return value
    const inside = [...above, value]
    if (Array.isArray(value)) {
      return Array.from(value, (item: unknown, index) => snapshotOf(item, problems, [...path, index], inside))
    }
    if (!isPlain(value)) {
      if (path.length === 0) problems.push({ path: "", problem: "must export a plain object as its default" })
      return value
    }
    const copy: { [key: string]: unknown } = {}
    for (const key of Object.keys(value)) {
      const at = [...path, key]
      let item: unknown
      try {
        item = Reflect.get(value, key)
      } catch (error) {
        problems.push({ path: pathText(at), problem: `cannot be read: ${reason(error)}` })
        continue
      }
      Object.defineProperty(copy, key, {
        value: snapshotOf(item, problems, at, inside),
        enumerable: true,
        configurable: true,
        writable: true
      })
    }
    return copy
  } catch (error) {
    // A proxy whose traps throw.
    problems.push({ path: pathText(path), problem: `cannot be read: ${reason(error)}` })
    return undefined
  }
}
