/** Checks the parsed JSON of a plugin of any kind: its size, and values that are never valid. */
import type { Limits } from "../Plugin.ts"
import { pathText, shortened } from "../text.ts"

export const tooDeep = ({ outputDepth }: Limits): string =>
  `expected at most ${outputDepth} levels of nesting (limits.outputDepth), got more`
export const tooMany = ({ outputValues }: Limits): string =>
  `expected at most ${outputValues} JSON values (limits.outputValues), got more`

export const tooManyItems = ({ outputItems }: Limits, got: number | "more"): string =>
  `expected at most ${outputItems} items (limits.outputItems), got ${got}`

/** U+0000, which PostgreSQL cannot store, and halves of surrogate pairs, which are no characters. */
const textIssue = (text: string): string | undefined => {
  if (!text.isWellFormed()) return "well-formed Unicode, got half a surrogate pair"
  return text.includes("\0") ? "text without U+0000, got one" : undefined
}

/** What is wrong with a number or a text. A number that is too large becomes Infinity when it is parsed. */
const scalarIssue = (value: unknown): string | undefined => {
  if (typeof value === "string") return textIssue(value)
  return typeof value === "number" && !Number.isFinite(value) ? `a finite number, got ${value}` : undefined
}

/** The path of a container in `root`. Searches all of it, so it is only used for outputs that are refused. */
const pathOf = (root: object, container: object): ReadonlyArray<PropertyKey> => {
  let level: Array<readonly [object, ReadonlyArray<PropertyKey>]> = [[root, []]]
  while (level.length > 0) {
    const inner: typeof level = []
    for (const [parent, path] of level) {
      if (parent === container) return path
      for (const [key, child] of Object.entries(parent)) {
        if (typeof child === "object" && child !== null) {
          inner.push([child, [...path, Array.isArray(parent) ? Number(key) : key]])
        }
      }
    }
    level = inner
  }
  return []
}

/** The most characters of a path in an issue. */
export const maxPath = 300

type Container = Array<unknown> | { [key: string]: unknown }

const isContainer = (value: unknown): value is Container => typeof value === "object" && value !== null

/**
 * Walks parsed JSON level by level, without recursion, and returns what is wrong with it. A negative zero loses its sign,
 * because JSON.stringify never writes one. Texts are checked only if the JSON has `escapes`, because invalid characters
 * are always escaped. Lists and objects have separate loops: this runs for every output, and it halves the time.
 */
export const shapeIssue = (value: unknown, limits: Limits, escapes: boolean): string | undefined => {
  if (!isContainer(value)) {
    const issue = scalarIssue(value)
    return issue === undefined ? undefined : `expected ${issue}`
  }
  if (Array.isArray(value) && value.length > limits.outputItems) return tooManyItems(limits, value.length)
  const at = (container: object, key: PropertyKey, issue: string): string =>
    `${shortened(pathText([...pathOf(value, container), key]), maxPath)}: expected ${issue}`
  let level: Array<Container> = [value]
  let values = 1
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > limits.outputDepth) return tooDeep(limits)
    const inner: Array<Container> = []
    for (const container of level) {
      if (Array.isArray(container)) {
        values += container.length
        for (let index = 0; index < container.length; index++) {
          const child = container[index]
          if (isContainer(child)) inner.push(child)
          else if (escapes || typeof child === "number") {
            const issue = scalarIssue(child)
            if (issue !== undefined) return at(container, index, issue)
            if (child === 0) container[index] = 0
          }
        }
      } else {
        // Parsed JSON inherits no enumerable members.
        for (const key in container) {
          values++
          if (key === "__proto__") return 'expected no key "__proto__", got one'
          const child = container[key]
          if (isContainer(child)) inner.push(child)
          else if (escapes || typeof child === "number") {
            const issue = scalarIssue(child)
            if (issue !== undefined) return at(container, key, issue)
            if (child === 0) container[key] = 0
          }
          if (escapes) {
            const issue = textIssue(key)
            if (issue !== undefined) return at(container, key, `a key in ${issue}`)
          }
        }
      }
    }
    if (values > limits.outputValues) return tooMany(limits)
    level = inner
  }
  return undefined
}
