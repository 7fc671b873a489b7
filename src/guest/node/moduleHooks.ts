/**
 * Where a guest's modules come from: built-ins from an allowlist, everything else from the host's loader,
 * which resolves, checks, compiles and hands over source text. The guest itself reads no file.
 */
// By namespace: a runtime without hooks (Bun) must still be able to load this file.
import * as nodeModule from "node:module"
import { moduleNotFound } from "../shared/commonjs.ts"
import { makeModuleRequester, type ModuleText } from "../shared/PreloadedModules.ts"
import { apply, cut, includes, lastIndexOf, startsWith } from "../shared/intrinsics.ts"
import { moduleProblem, originOf, rememberOrigin } from "../shared/ModuleProblem.ts"
import type { ModuleLine, ModulePlace } from "../../wire/modules.ts"
import { harmless } from "./builtins.ts"
import { installCommonJs } from "./commonjs.ts"
import { denied } from "./denied.ts"

const facadeScheme = "agentlip-builtin:"
const facadeRegistry = Symbol.for("agentlip.builtins")

/** Source of a module that re-exports a stand-in; `require` gets the object itself. */
const facadeSource = (name: string, facade: object): string => {
  const names = Object.keys(facade)
  return [
    `const it = globalThis[Symbol.for("agentlip.builtins")].get(${JSON.stringify(name)})`,
    ...names.map((key, index) => `const e${index} = it[${JSON.stringify(key)}]`),
    `export { ${[...names.map((key, index) => `e${index} as ${JSON.stringify(key)}`), 'it as default, it as "module.exports"'].join(", ")} }`
  ].join("\n")
}

/** A plugin of the guest's own, which imports like any other; there is none of that name once there is a plugin. */
export const rehearsal = "agentlip:rehearsal"
const rehearsalSource = `import "node:os"
export default { name: "rehearsal", version: "1.0.0", enrich: ({ message }) => [...Object.keys(message)] }`

/** Longer than any path; what is over it must not be copied to the host. */
const maxSpecifier = 8_192

const mapComment = "//# sourceMappingURL=data:"

/** Whether a source's last line is its map, as the host's compiler writes it. */
const hasSourceMap = (source: string): boolean => {
  const at = lastIndexOf(source, "\n") + 1
  return cut(source, at, at + mapComment.length) === mapComment
}

/** Taken before a plugin loads: it may replace the global one. */
const compileOnly = Function

/**
 * Tells Node the map of a CommonJS source, which it reads of modules that it compiles itself and of generated code
 * only: by a function that is that file's, is but comments, and is never called.
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

export interface InstalledHooks {
  /** V8 tells where a module does not parse to its console only: has it found out by Node's other parser. */
  readonly placeSyntaxError: (error: unknown) => void
}

const { exec } = RegExp.prototype
/** How that parser's errors begin: file and line, some lines of code, and `^` below the last of them. */
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

/** A built-in's name without its scheme. */
const nameOf = (specifier: string): string => (startsWith(specifier, "node:") ? cut(specifier, 5) : specifier)

// Taken before the real process is stubbed.
const { getBuiltinModule } = process
const builtinNamed = (name: string): object | undefined => getBuiltinModule(`node:${name}`)

/** Records without a prototype: nothing about them can be patched. */
const record = <A>(): { [key: string]: A } => Object.create(null)

/** Installs the hooks; `currentLine` answers once the guest has a plugin. */
export const installModuleHooks = (
  facades: Map<string, object>,
  currentLine: () => ModuleLine | undefined
): InstalledHooks => {
  const answered = record<ModuleText>()
  const ask = makeModuleRequester()
  // The function as it is now: the module's live export is for a plugin to change.
  const { isBuiltin, registerHooks, setSourceMapsSupport, stripTypeScriptTypes } = nodeModule
  /** What was handed over last: a module that does not parse fails right after that. */
  let last: ModuleText | undefined
  /** Stacks in the author's own lines, from the first source that does not have them. */
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

  /** A module that is none of Node's, from the loader. */
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
      const problem = moduleProblem(answer)
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
      // The last word, whatever became of the first: only what is harmless is loaded from Node.
      if (startsWith(url, "data:") || (startsWith(url, "node:") && harmless[cut(url, 5)] === true)) {
        return next(url, context)
      }
      throw denied(`the module "${url}"`, "Plugins may not use it on this isolation level.")
    }
  })

  return {
    placeSyntaxError: (error) => {
      if (!(error instanceof SyntaxError) || originOf(error) !== undefined) return
      if (typeof last?.source !== "string" || last.format === "json") return
      const place = syntaxPlace(last.url, last.source, stripTypeScriptTypes)
      if (place !== undefined) rememberOrigin(error, { place })
    }
  }
}
