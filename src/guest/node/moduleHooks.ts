/**
 * The guest's module hooks. Allowed built-ins come from Node or from stand-ins. All other modules come from the
 * host's loader, which resolves, checks and compiles them and sends their source. The guest reads no file.
 */
// Imported by namespace, so that a runtime without module hooks (Bun) can load this file.
import * as nodeModule from "node:module"
import { moduleNotFound } from "../shared/commonjs.ts"
import { makeModuleRequester, type ModuleText } from "../shared/PreloadedModules.ts"
import { apply, cut, includes, lastIndexOf, startsWith } from "../shared/intrinsics.ts"
import { moduleProblem, originOf, rememberOrigin } from "../shared/ModuleProblem.ts"
import type { ModuleLine, ModulePlace } from "../../wire/modules.ts"
import { harmless } from "./builtins.ts"
import { installCommonJs } from "./commonjs.ts"
import { denied } from "./denied.ts"
import { reexport } from "../shared/reexport.ts"

const facadeScheme = "agentlip-builtin:"
const facadeRegistry = Symbol.for("agentlip.builtins")

/** The source of a module that re-exports a stand-in. `require` returns the stand-in itself. */
const facadeSource = (name: string, facade: object): string =>
  reexport(`globalThis[Symbol.for("agentlip.builtins")].get(${JSON.stringify(name)})`, Object.keys(facade), [
    "default",
    "module.exports"
  ])

/** The guest's own test plugin, imported like any other. It can only be imported before a plugin is loaded. */
export const rehearsal = "agentlip:rehearsal"
const rehearsalSource = `import "node:os"
export default { name: "rehearsal", version: "1.0.0", enrich: ({ message }) => [...Object.keys(message)] }`

/** In characters, longer than any path. Longer specifiers are not sent to the host. */
const maxSpecifier = 8_192

const mapComment = "//# sourceMappingURL=data:"

/** Whether the last line of a source is a source map, as the host's compiler writes it. */
const hasSourceMap = (source: string): boolean => {
  const at = lastIndexOf(source, "\n") + 1
  return cut(source, at, at + mapComment.length) === mapComment
}

/** Captured before a plugin loads, which may replace the global. */
const compileOnly = Function

/**
 * Registers the source map of a CommonJS module. Node reads maps only from modules that it compiles itself and from
 * generated code. So this compiles a function that consists of comments, under the module's name, and never calls
 * it.
 */
const registerSourceMap = (
  url: string,
  source: string,
  support: typeof nodeModule.setSourceMapsSupport
): void => {
  support(true, { nodeModules: true, generatedCode: true })
  compileOnly(`//# sourceURL=${url}\n${cut(source, lastIndexOf(source, "\n") + 1)}`)
  support(true, { nodeModules: true })
}

/** Records the place of a syntax error. V8 prints it to the console only, so Node's TypeScript parser finds it. */
export type PlaceSyntaxError = (error: unknown) => void

const { exec } = RegExp.prototype
/** The start of that parser's errors: file and line, some lines of code, and `^` below the last of them. */
const shownSyntax = /^(file:\S+):(\d+)\n(?:.*\n)*?( *)\^/

const syntaxPlace = (
  url: string,
  source: string,
  parse: typeof nodeModule.stripTypeScriptTypes
): ModulePlace | undefined => {
  try {
    parse(source, { sourceUrl: url })
    return undefined
  } catch (error) {
    const stack: unknown = error instanceof Error ? error.stack : undefined
    const found: RegExpExecArray | null = typeof stack === "string" ? apply(exec, shownSyntax, [stack]) : null
    const [, where, line, before] = found ?? []
    if (where === undefined || before === undefined) return undefined
    return { file: where, line: Number(line), column: before.length + 1, frame: "" }
  }
}

/** A built-in's name without `node:`. */
const nameOf = (specifier: string): string => (startsWith(specifier, "node:") ? cut(specifier, 5) : specifier)

// Captured before the real process is stubbed.
const { getBuiltinModule } = process
const builtinNamed = (name: string): object | undefined => getBuiltinModule(`node:${name}`)

/** A record without a prototype that a plugin could patch. */
const record = <A>(): { [key: string]: A } => Object.create(null)

/** Installs the hooks. `currentLine` returns the line to the loader once the guest has a plugin. */
export const installModuleHooks = (
  facades: Map<string, object>,
  currentLine: () => ModuleLine | undefined
): PlaceSyntaxError => {
  const answered = record<ModuleText>()
  const ask = makeModuleRequester()
  // Captured, because a plugin can change the module's live exports.
  const { isBuiltin, registerHooks, setSourceMapsSupport, stripTypeScriptTypes } = nodeModule
  /** The module that was returned last. If a module has a syntax error, it is this one. */
  let last: ModuleText | undefined
  /** Whether source maps are switched on. The first module with a map switches them on. */
  let mapsSources = false
  const handedOver = (text: ModuleText): ModuleText => {
    last = text
    if (typeof text.source !== "string" || !hasSourceMap(text.source)) return text
    if (!mapsSources) {
      mapsSources = true
      setSourceMapsSupport(true, { nodeModules: true })
    }
    if (text.format === "commonjs") registerSourceMap(text.url, text.source, setSourceMapsSupport)
    return text
  }

  /** Gets a module that is not a built-in from the host's loader. */
  const find = (specifier: string, parent: string | undefined, require: boolean): ModuleText => {
    if (specifier.length > maxSpecifier) {
      throw denied(
        "a module",
        `A specifier has ${maxSpecifier} characters at most, this has ${specifier.length}.`
      )
    }
    const line = currentLine()
    if (line === undefined || parent === undefined) {
      throw denied(`the module "${specifier}"`, "Only a loaded plugin may import.")
    }
    const answer = ask(line, { specifier, parent, require })
    if ("error" in answer) {
      const problem = moduleProblem(answer, require)
      throw require && answer.syntax !== true ? moduleNotFound(problem) : problem
    }
    return (answered[answer.url] = answer)
  }

  const refuseBuiltin = (specifier: string): never => {
    throw denied(`the built-in module "${specifier}"`, "Plugins may not use it on this isolation level.")
  }

  const commonJs = installCommonJs({
    find: (specifier, parent) => find(specifier, parent, true),
    sourceOf: (url) => {
      const text = answered[url]
      return text === undefined ? "" : String(handedOver(text).source)
    },
    builtin: (specifier) => {
      if (!isBuiltin(specifier)) return undefined
      const name = nameOf(specifier)
      return facades.get(name) ?? (harmless[name] === true ? builtinNamed(name) : refuseBuiltin(specifier))
    }
  })
  facades.set("module", {
    createRequire: commonJs.createRequire,
    builtinModules: nodeModule.builtinModules,
    isBuiltin
  })
  Object.defineProperty(globalThis, facadeRegistry, { value: facades })
  const sources = record<string>()
  for (const [name, facade] of facades) sources[name] = facadeSource(name, facade)
  sources[rehearsal] = rehearsalSource

  registerHooks({
    resolve(specifier, context, next) {
      const required = commonJs.required()
      if (required !== undefined) return { ...required, shortCircuit: true }
      if (isBuiltin(specifier)) {
        const name = nameOf(specifier)
        if (sources[name] !== undefined) {
          return { url: facadeScheme + name, format: "module", shortCircuit: true }
        }
        return harmless[name] === true ? next(specifier, context) : refuseBuiltin(specifier)
      }
      if (startsWith(specifier, "data:")) return next(specifier, context)
      if (specifier === rehearsal && currentLine() === undefined) {
        return { url: facadeScheme + rehearsal, format: "module", shortCircuit: true }
      }
      const require = includes(context.conditions ?? [], "require")
      const { url, format } = find(specifier, context.parentURL, require)
      return { url, format, shortCircuit: true, importAttributes: context.importAttributes }
    },
    load(url, context, next) {
      if (startsWith(url, facadeScheme)) {
        return { format: "module", source: sources[cut(url, facadeScheme.length)] ?? "", shortCircuit: true }
      }
      const answer = answered[url]
      if (answer !== undefined) {
        const { format, source } = handedOver(answer)
        return { format, source, shortCircuit: true }
      }
      // The final check, whatever `resolve` decided: Node itself loads only harmless modules.
      if (startsWith(url, "data:") || (startsWith(url, "node:") && harmless[cut(url, 5)] === true)) {
        return next(url, context)
      }
      throw denied(`the module "${url}"`, "Plugins may not use it on this isolation level.")
    }
  })

  return (error) => {
    if (!(error instanceof SyntaxError) || originOf(error) !== undefined) return
    if (typeof last?.source !== "string" || last.format === "json") return
    const place = syntaxPlace(last.url, last.source, stripTypeScriptTypes)
    if (place !== undefined) rememberOrigin(error, { place })
  }
}
