/** Turns a schema's issues into problems for people: where, what is wrong, what to write. */
import { Duration, SchemaAST, SchemaIssue } from "effect"
import type { ConfigProblem } from "../ConfigError.ts"
import { pathText, shown } from "../text.ts"

type Path = ReadonlyArray<PropertyKey>

const valueAt = (root: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
    root
  )

/** The number of letters to change, add or remove. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (b[j] === letter ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The problem of a key that is not among the known ones. It names the nearest one, or all. */
export const unknownKey = (key: string, known: ReadonlyArray<string>): string => {
  const given = key.toLowerCase()
  const isNear = (name: string): boolean => {
    const other = name.toLowerCase()
    return given.startsWith(other) || other.startsWith(given) || distance(given, other) <= 2
  }
  const near = known.find(isNear)
  return near === undefined
    ? `is not a known key; remove it, or use one of ${known.join(", ")}`
    : `is not a known key; did you mean "${near}"?`
}

const keysOf = (ast: SchemaAST.AST): ReadonlyArray<string> =>
  SchemaAST.isObjects(ast) ? ast.propertySignatures.map(({ name }) => String(name)) : []

const valueText = (value: unknown): string =>
  Duration.isDuration(value) ? Duration.format(value) : shown(value)

const describe = SchemaIssue.makeFormatterDefault()

const plainWords = [
  [/^Expected object$/, "expected an object"],
  [/^Expected array$/, "expected a list"],
  [/^Expected boolean$/, "expected true or false"],
  [/^Expected/, "expected"]
] as const

/** A longer text in a plugin's config may be a secret, and is not shown. */
const shownOfConfig = 7

/** The value there. A text in a plugin's config may be a secret: only its type is named. */
const found = (root: unknown, path: Path): string => {
  const value = valueAt(root, path)
  const isSecret = path.includes("config") && typeof value === "string" && value.length > shownOfConfig
  return isSecret ? "a text" : valueText(value)
}

/** Every problem of `issue`, found while `root` was decoded. */
export const problemsOf = (
  root: unknown,
  issue: SchemaIssue.Issue,
  path: Path = []
): Array<ConfigProblem> => {
  switch (issue._tag) {
    case "Pointer":
      return problemsOf(root, issue.issue, [...path, ...issue.path])
    case "Encoding":
      return problemsOf(root, issue.issue, path)
    case "Composite":
      return issue.issues.flatMap((inner) => problemsOf(root, inner, path))
    case "MissingKey":
      return [{ path: pathText(path), problem: "is missing; add it" }]
    case "UnexpectedKey":
      return [{ path: pathText(path), problem: unknownKey(String(path.at(-1)), keysOf(issue.ast)) }]
    default: {
      const text = plainWords.reduce((text, [schemas, ours]) => text.replace(schemas, ours), describe(issue))
      const problem = text.startsWith("expected") ? `${text}, got ${found(root, path)}` : text
      return [{ path: pathText(path), problem }]
    }
  }
}
