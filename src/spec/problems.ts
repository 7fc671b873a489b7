/** From a schema's issue to the problems that people read: where it is, what is wrong, what to write. */
import { Duration, SchemaAST, SchemaIssue } from "effect"
import { pathText, shown } from "../text.ts"

/** One thing that is wrong with a spec or with a config file. */
export interface SpecProblem {
  /** `limits.memory`; empty: all of it. */
  readonly path: string
  readonly problem: string
}

type Path = ReadonlyArray<PropertyKey>

const valueAt = (root: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
    root
  )

/** How many letters to change, add or drop. */
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

const unknownKey = (ast: SchemaAST.AST, key: string): string => {
  const known = SchemaAST.isObjects(ast) ? ast.propertySignatures.map(({ name }) => String(name)) : []
  const given = key.toLowerCase()
  const near = known.find((name) => {
    const other = name.toLowerCase()
    return given.startsWith(other) || other.startsWith(given) || distance(given, other) <= 2
  })
  return near === undefined
    ? `is not a known key; remove it, or use one of ${known.join(", ")}`
    : `is not a known key; did you mean "${near}"?`
}

const valueText = (value: unknown): string =>
  Duration.isDuration(value) ? Duration.format(value) : shown(value)

const describe = SchemaIssue.makeFormatterDefault()

const plainWords = [
  [/^Expected object$/, "expected an object"],
  [/^Expected array$/, "expected a list"],
  [/^Expected boolean$/, "expected true or false"],
  [/^Expected/, "expected"]
] as const

/** Characters of a text in a plugin's config that can be shown: a longer one may be a secret. */
const shownOfConfig = 7

/** What stands there. Of what a plugin is to get as its config, which may be a secret, only the type is named. */
const found = (root: unknown, path: Path): string => {
  const value = valueAt(root, path)
  const isSecret = path.includes("config") && typeof value === "string" && value.length > shownOfConfig
  return isSecret ? "a text" : valueText(value)
}

/** Every problem of `issue`, found while `root` was decoded. */
export const problemsOf = (root: unknown, issue: SchemaIssue.Issue, path: Path = []): Array<SpecProblem> => {
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
      return [{ path: pathText(path), problem: unknownKey(issue.ast, String(path.at(-1))) }]
    default: {
      const text = plainWords.reduce((text, [schemas, ours]) => text.replace(schemas, ours), describe(issue))
      const problem = text.startsWith("expected") ? `${text}, got ${found(root, path)}` : text
      return [{ path: pathText(path), problem }]
    }
  }
}
