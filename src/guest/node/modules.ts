/**
 * Where a guest's modules come from: built-ins from an allowlist, everything else from the host's loader,
 * which resolves, checks, compiles and hands over source text. The guest itself reads no file.
 */
// By namespace: a runtime without hooks (Bun) must still be able to load this file.
import * as nodeModule from "node:module"
import { makeAsk, type ModuleText } from "../ahead.ts"
import { denied, harmless } from "./facades.ts"
import { cut, includes, startsWith } from "../intrinsics.ts"
import { moduleProblem } from "../ModuleProblem.ts"
import type { ModuleLine } from "../protocol.ts"

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

/** Members of Node's `Module` that change how modules load, or look at the disk past the loader. */
const closedModuleMembers = [
  "registerHooks",
  "register",
  "setSourceMapsSupport",
  "syncBuiltinESMExports",
  "findPackageJSON",
  "enableCompileCache",
  "flushCompileCache"
]

/** Longer than any path; what is over it must not be copied to the host. */
const maxSpecifier = 8_192

/** Records without a prototype: nothing about them can be patched. */
const record = <A>(): { [key: string]: A } => Object.create(null)

/** Installs the hooks; `currentLine` answers once the guest has a plugin. */
export const installModuleHooks = (
  facades: ReadonlyMap<string, object>,
  currentLine: () => ModuleLine | undefined
): void => {
  Object.defineProperty(globalThis, facadeRegistry, { value: facades })
  const sources = record<string>()
  for (const [name, facade] of facades) sources[name] = facadeSource(name, facade)
  sources[rehearsal] = rehearsalSource
  const answered = record<ModuleText>()
  const ask = makeAsk()
  // The function as it is now: the module's live export is for a plugin to change.
  const { isBuiltin } = nodeModule

  nodeModule.registerHooks({
    resolve(specifier, context, next) {
      if (isBuiltin(specifier)) {
        const name = startsWith(specifier, "node:") ? cut(specifier, 5) : specifier
        if (sources[name] !== undefined) {
          return { url: facadeScheme + name, format: "module", shortCircuit: true }
        }
        if (harmless[name] === true) return next(specifier, context)
        throw denied(`the built-in module "${specifier}"`, "Plugins may not use it on this isolation level.")
      }
      if (startsWith(specifier, "data:")) return next(specifier, context)
      if (specifier.length > maxSpecifier) {
        throw denied(
          "a module",
          `A specifier has ${maxSpecifier} characters at most, this has ${specifier.length}.`
        )
      }
      const line = currentLine()
      if (line === undefined && specifier === rehearsal) {
        return { url: facadeScheme + rehearsal, format: "module", shortCircuit: true }
      }
      const parent = context.parentURL
      if (line === undefined || parent === undefined) {
        throw denied(`the module "${specifier}"`, "Only a loaded plugin may import.")
      }
      const require = includes(context.conditions ?? [], "require")
      const answer = ask(line, { specifier, parent, require })
      if ("error" in answer) throw moduleProblem(answer)
      answered[answer.url] = answer
      return {
        url: answer.url,
        format: answer.format,
        shortCircuit: true,
        importAttributes: context.importAttributes
      }
    },
    load(url, context, next) {
      if (startsWith(url, facadeScheme)) {
        return { format: "module", source: sources[cut(url, facadeScheme.length)] ?? "", shortCircuit: true }
      }
      const answer = answered[url]
      if (answer !== undefined) return { format: answer.format, source: answer.source, shortCircuit: true }
      // The last word, whatever became of the first: only what is harmless is loaded from Node.
      if (startsWith(url, "data:") || (startsWith(url, "node:") && harmless[cut(url, 5)] === true)) {
        return next(url, context)
      }
      throw denied(`the module "${url}"`, "Plugins may not use it on this isolation level.")
    }
  })

  // A plugin that could add hooks of its own would be asked before these; the rest tells of files.
  const refuse = (): never => {
    throw denied("Node's module internals", "A plugin cannot change how modules load.")
  }
  for (const name of closedModuleMembers) {
    if (name in nodeModule.Module) {
      Object.defineProperty(nodeModule.Module, name, { value: refuse, writable: false, configurable: false })
    }
  }
}
