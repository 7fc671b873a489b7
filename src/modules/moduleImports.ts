/** Finds the modules that a source imports by literal names, without running it. */
import { type AnyNode, parse } from "acorn"
import { init, parse as lex } from "es-module-lexer"
import { isBuiltin } from "node:module"
import { messageOf } from "./LoadProblem.ts"
import type { ModuleSource } from "./ModuleSource.ts"

/** Await this before the first use of this module. */
export const lexerReady: Promise<void> = init

/** An import by a literal name. */
export interface Import {
  readonly specifier: string
  /** Whether it is a `require`, which resolves with other conditions than `import`. */
  readonly require: boolean
}

export interface Imports {
  /** Without built-ins and `data:` URLs, which lead to no file. */
  readonly imports: ReadonlyArray<Import>
  /** Why the source could not be parsed. `imports` is then empty. */
  readonly problem?: string
}

/** Checks the parser's own output: every object with a `type` is a node. */
const isNode = (value: unknown): value is AnyNode =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, "type") === "string"

const literal = (node: AnyNode | null | undefined): string | undefined => {
  if (node?.type === "Literal") return typeof node.value === "string" ? node.value : undefined
  return node?.type === "TemplateLiteral" && node.expressions.length === 0
    ? (node.quasis[0]?.value.cooked ?? undefined)
    : undefined
}

/** `require(…)` or `module.require(…)`. */
const isRequire = (callee: AnyNode): boolean =>
  callee.type === "MemberExpression"
    ? callee.property.type === "Identifier" && callee.property.name === "require"
    : callee.type === "Identifier" && callee.name === "require"

const importOf = (node: AnyNode): Import | undefined => {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ImportExpression": {
      const specifier = literal(node.source)
      return specifier === undefined ? undefined : { specifier, require: false }
    }
    case "CallExpression": {
      const specifier = isRequire(node.callee) ? literal(node.arguments[0]) : undefined
      return specifier === undefined ? undefined : { specifier, require: true }
    }
    default:
      return undefined
  }
}

/** Syntax that the lexer does not read: `require`, and new forms of `import`. */
const needsParser = /\brequire\b\s*\(|\bimport\s+(?:source|defer)\b|\bimport\s*\.\s*(?:source|defer)\b/

/**
 * The imports of an ES module, found by the lexer, which is many times faster than the parser. Returns `undefined`
 * if the parser is needed.
 */
const lexed = (source: string): ReadonlyArray<Import> | undefined => {
  if (needsParser.test(source)) return undefined
  const [found] = lex(source)
  const imports: Array<Import> = []
  for (const { n, d } of found) {
    // `import.meta`.
    if (d === -2) continue
    if (n === undefined) return undefined
    imports.push({ specifier: n, require: false })
  }
  return imports
}

const parsed = (source: string, format: "module" | "commonjs"): ReadonlyArray<Import> => {
  const imports: Array<Import> = []
  const nodes: Array<AnyNode> = [parse(source, { ecmaVersion: "latest", sourceType: format })]
  for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
    const found = importOf(node)
    if (found !== undefined) imports.push(found)
    for (const child of Object.values(node).flat()) if (isNode(child)) nodes.push(child)
  }
  return imports
}

/** The part of `WebAssembly` that is used. TypeScript's ECMAScript library does not declare it. */
declare const WebAssembly: {
  readonly Module: {
    new (bytes: Uint8Array): object
    readonly imports: (module: object) => ReadonlyArray<{ readonly module: string }>
  }
}

const inWebAssembly = (bytes: Uint8Array): ReadonlyArray<Import> =>
  WebAssembly.Module.imports(new WebAssembly.Module(bytes)).map(({ module }) => ({
    specifier: module,
    require: false
  }))

const hasFile = ({ specifier }: Import): boolean => !isBuiltin(specifier) && !specifier.startsWith("data:")

const find = ({ format, source }: ModuleSource): Imports => {
  try {
    let imports: ReadonlyArray<Import> = []
    if (typeof source !== "string") imports = inWebAssembly(source)
    else if (format === "module") imports = lexed(source) ?? parsed(source, format)
    else if (format === "commonjs") imports = parsed(source, format)
    return { imports: imports.filter(hasFile) }
  } catch (error) {
    // The parser's message, or a stack overflow. The engine reports more when the module runs.
    return { imports: [], problem: messageOf(error) }
  }
}

const known = new WeakMap<ModuleSource, Imports>()

/** The imports of a source, computed once. */
export const importsOf = (source: ModuleSource): Imports => {
  const found = known.get(source) ?? find(source)
  known.set(source, found)
  return found
}

/** Inexact on purpose: a false match sends a module needlessly, and a missed one is requested later. */
const required = /\brequire\(\s*(["'])([^"'\n]+)\1\s*\)/g

/** The imports that a module makes as soon as it runs, by a quick scan. They are sent ahead. */
export const eagerImports = ({ format, source }: ModuleSource): ReadonlyArray<Import> => {
  if (typeof source !== "string") return []
  if (format === "commonjs") {
    return Array.from(source.matchAll(required), ([, , specifier = ""]) => ({
      specifier,
      require: true
    })).filter(hasFile)
  }
  try {
    // -1 marks a static import.
    const found = format === "module" ? lex(source)[0].filter(({ d }) => d === -1) : []
    return found.map(({ n = "" }) => ({ specifier: n, require: false })).filter(hasFile)
  } catch {
    // The source has a syntax error, which the guest's engine will report.
    return []
  }
}
