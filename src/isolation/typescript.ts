/** TypeScript to JavaScript for plugins, by Node's own compiler; enums and namespaces too. */
import { transformSync } from "amaro"
// Not by way of Effect's index, which would be most of what the loader's thread starts with.
import * as Predicate from "effect/Predicate"

/** What the compiler says of a source it does not take, with the place. */
export class CompileProblem extends Error {
  override name = "SyntaxError"
}

/** Whether the compiler's WebAssembly has trapped: it answers nobody from then on. */
export const hasTrapped = (error: unknown): boolean => error instanceof Error && error.name === "RuntimeError"

const describe = (error: unknown, file: string): CompileProblem => {
  if (!Predicate.isObject(error)) return new CompileProblem(`${file}: ${String(error)}`)
  const { message, startLine, startColumn } = error as Record<string, unknown>
  const place =
    typeof startLine === "number" && typeof startColumn === "number" ? `:${startLine}:${startColumn + 1}` : ""
  return new CompileProblem(`${file}${place}: ${String(message)}`)
}

const inlineMap = (map: string): string =>
  `\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString("base64")}`

/**
 * Compiles a module. Types are blanked out in place, so that lines and columns stay the author's; only a
 * source with syntax of TypeScript's own (enums, namespaces, parameter properties) is rewritten, with a map.
 */
export const compileTypeScript = (source: string, file: string): string => {
  try {
    return transformSync(source, { mode: "strip-only", filename: file }).code
  } catch (error) {
    if (hasTrapped(error)) throw error
    if (!Predicate.isObject(error) || Reflect.get(error, "code") !== "UnsupportedSyntax")
      throw describe(error, file)
  }
  try {
    const { code, map } = transformSync(source, { mode: "transform", sourceMap: true, filename: file })
    return map === undefined ? code : code + inlineMap(map)
  } catch (error) {
    throw describe(error, file)
  }
}
