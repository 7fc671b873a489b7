/** A copy of what a config file exports: read once, so that a getter that throws, or changes its mind, is a problem like others. */
import type { ConfigProblem } from "../Errors.ts"
import { pathText, shown } from "../text.ts"

type Path = ReadonlyArray<PropertyKey>

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  // Of another realm too: what matters is that nothing is inherited but from an `Object`.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

const reason = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : shown(error)

/** Copies objects and lists; everything else is for the schema to judge. Problems are added to `problems`. */
export const snapshotOf = (
  value: unknown,
  problems: Array<ConfigProblem>,
  path: Path = [],
  above: ReadonlyArray<object> = []
): unknown => {
  if (typeof value !== "object" || value === null) return value
  try {
    // A circle is no JSON value, as the schema says.
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
    // A proxy that refuses to be looked at.
    problems.push({ path: pathText(path), problem: `cannot be read: ${reason(error)}` })
    return undefined
  }
}
