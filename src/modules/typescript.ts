/** Compiles TypeScript plugins to JavaScript with Node's own compiler. Supports enums and namespaces. */
import { transformSync } from "amaro"
// Imported directly, because Effect's index would take most of the thread's start time.
import * as Predicate from "effect/Predicate"
import * as path from "node:path"
import { codeFrame } from "../codeFrame.ts"
import { LoadProblem, messageOf } from "./LoadProblem.ts"

/** The compiler's WebAssembly stopped in the middle of its work. It cannot be used again, so its thread must end. */
export class CompilerTrap extends Error {
  override name = "CompilerTrap"
}

/** Whether the WebAssembly trapped or overflowed its stack. */
const isTrap = (error: unknown): boolean =>
  error instanceof Error && /^(?:Runtime|Range)Error$/.test(error.name)

/** The compiler's error for a source, with the place. */
const problemIn = (error: unknown, source: string, file: string): Error => {
  if (isTrap(error)) {
    return new CompilerTrap(
      `Cannot compile "${file}": the TypeScript compiler gave up on it (${messageOf(error)}); it may nest too deeply.`
    )
  }
  if (!Predicate.isObject(error)) return new LoadProblem(`${file}: ${String(error)}`, { syntax: true })
  const { message, startLine, startColumn } = error as Record<string, unknown>
  if (typeof startLine !== "number" || typeof startColumn !== "number") {
    return new LoadProblem(`${file}: ${String(message)}`, { syntax: true })
  }
  const [line, column] = [startLine, startColumn + 1]
  return new LoadProblem(`${file}:${line}:${column}: ${String(message)}`, {
    syntax: true,
    place: { file, line, column, frame: codeFrame(source, line, column) }
  })
}

const inlineMap = (map: string): string =>
  `\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString("base64")}`

/**
 * Compiles a module. Types are replaced by spaces, so lines and columns stay the author's. Only sources with syntax
 * that needs code (enums, namespaces, parameter properties) are rewritten, with a source map.
 */
export const compileTypeScript = (source: string, file: string): string => {
  // The source map names the source relative to the module, so the result does not depend on the folder.
  const filename = path.basename(file)
  try {
    return transformSync(source, { mode: "strip-only", filename }).code
  } catch (error) {
    if (!Predicate.isObject(error) || Reflect.get(error, "code") !== "UnsupportedSyntax")
      throw problemIn(error, source, file)
  }
  try {
    const { code, map } = transformSync(source, { mode: "transform", sourceMap: true, filename })
    return map === undefined ? code : code + inlineMap(map)
  } catch (error) {
    throw problemIn(error, source, file)
  }
}
