/** TypeScript to JavaScript for plugins, by Node's own compiler; enums and namespaces too. */
import { transformSync } from "amaro"
// Not by way of Effect's index, which would be most of what the loader's thread starts with.
import * as Predicate from "effect/Predicate"
import * as path from "node:path"
import { codeFrame } from "../codeFrame.ts"
import { LoadProblem, messageOf } from "./LoadProblem.ts"

/** The compiler's WebAssembly was left in the middle of its work: it is not to be asked again, and its thread must end. */
export class CompilerTrap extends Error {
  override name = "CompilerTrap"
}

/** It trapped, or its stack ended. */
const isTrap = (error: unknown): boolean =>
  error instanceof Error && /^(?:Runtime|Range)Error$/.test(error.name)

/** What the compiler says of a source it does not take, with the place. */
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
 * Compiles a module. Types are blanked out in place, so that lines and columns stay the author's; only a
 * source with syntax of TypeScript's own (enums, namespaces, parameter properties) is rewritten, with a map.
 */
export const compileTypeScript = (source: string, file: string): string => {
  // A map names its source relative to the module: the same source compiles to the same text, wherever it lies.
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
