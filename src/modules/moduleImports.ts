/** Which modules a module's source asks for by name: what can be told without running it. */
import { type AnyNode, parse } from "acorn"
import { parse as lex } from "es-module-lexer"
import type { ModuleSource } from "./ModuleSource.ts"

/** A module asked for by a literal name. */
export interface Import {
  readonly specifier: string
  /** By `require`, which resolves by other conditions than `import`. */
  readonly require: boolean
}

export interface Imports {
  readonly imports: ReadonlyArray<Import>
  /** Why the source could not be understood: it has no imports then, as far as can be told. */
  readonly problem?: string
}

/** The parser's own output: whatever has a type is a node. */
const isNode = (value: unknown): value is AnyNode =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, "type") === "string"

const literal = (node: AnyNode | null | undefined): string | undefined => {
  if (node?.type === "Literal") return typeof node.value === "string" ? node.value : undefined
  return node?.type === "TemplateLiteral" && node.expressions.length === 0
    ? (node.quasis[0]?.value.cooked ?? undefined)
    : undefined
}

/** `require(…)` and `module.require(…)`. */
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

/** What a lexer knows not to read: `require`, and what is new in the language. */
const needsParser = /\brequire\b\s*\(|\bimport\s+(?:source|defer)\b|\bimport\s*\.\s*(?:source|defer)\b/

/** The imports of an ES module, many times as fast as by a parser; `undefined` if one is named in a way of its own. */
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

const inJavaScript = (source: string, format: "module" | "commonjs"): ReadonlyArray<Import> => {
  const fast = format === "module" ? lexed(source) : undefined
  return fast ?? parsed(source, format)
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

/** The part of it that is used: Node has it, the language's own library does not describe it. */
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

const find = ({ format, source }: ModuleSource): Imports => {
  try {
    if (typeof source !== "string") return { imports: inWebAssembly(source) }
    return { imports: format === "module" || format === "commonjs" ? inJavaScript(source, format) : [] }
  } catch (error) {
    // The parser's own words, or its stack's end: the engine will say more when the module is run.
    return { imports: [], problem: error instanceof Error ? error.message : String(error) }
  }
}

const known = new WeakMap<ModuleSource, Imports>()

/** What a source asks for, found once. */
export const importsOf = (source: ModuleSource): Imports => {
  const found = known.get(source) ?? find(source)
  known.set(source, found)
  return found
}
