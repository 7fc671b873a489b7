/**
 * Where a guest's modules come from: built-ins from an allowlist, everything else from the host's loader,
 * which resolves, checks, compiles and hands over source text. The guest itself reads no file.
 */
// By namespace: a runtime without hooks (Bun) must still be able to load this file.
import * as nodeModule from "node:module"
import { denied, harmless } from "./facades.ts"
import { cut, post, store, takeMessage, waitFor } from "./intrinsics.ts"
import type { ModuleAnswer, ModuleChannel, ModuleRequest } from "./protocol.ts"

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

/** Longer than any path; what is over it must not be copied to the host. */
const maxSpecifier = 8_192

/** A channel, opened before the plugin could replace what it is opened with. */
export interface ModuleLine {
  readonly port: ModuleChannel["port"]
  readonly flag: Int32Array
}

export const openLine = ({ port, flag }: ModuleChannel): ModuleLine => ({ port, flag: new Int32Array(flag) })

const ask = ({ port, flag }: ModuleLine, request: ModuleRequest): ModuleAnswer => {
  store(flag, 0, 0)
  post(port, request)
  for (;;) {
    const answer = takeMessage(port)
    if (answer !== undefined) return answer.message
    waitFor(flag, 0, 0)
    store(flag, 0, 0)
  }
}

const modulesAnswered = new Map<string, Exclude<ModuleAnswer, { readonly error: string }>>()
const { get: getModule, set: setModule } = Map.prototype

/** Installs the hooks; `currentLine` answers once the guest has a plugin. */
export const installModuleHooks = (
  facades: ReadonlyMap<string, object>,
  currentLine: () => ModuleLine | undefined
): void => {
  Object.defineProperty(globalThis, facadeRegistry, { value: facades })
  const sources = new Map([...facades].map(([name, facade]) => [name, facadeSource(name, facade)]))

  nodeModule.registerHooks({
    resolve(specifier, context, next) {
      if (nodeModule.isBuiltin(specifier)) {
        const name = specifier.startsWith("node:") ? cut(specifier, 5) : specifier
        if (sources.has(name)) return { url: facadeScheme + name, format: "module", shortCircuit: true }
        if (harmless.has(name)) return next(specifier, context)
        throw denied(`the built-in module "${specifier}"`, "Plugins may not use it on this isolation level.")
      }
      if (specifier.startsWith("data:")) return next(specifier, context)
      if (specifier.length > maxSpecifier) {
        throw denied(
          "a module",
          `A specifier has ${maxSpecifier} characters at most, this has ${specifier.length}.`
        )
      }
      const line = currentLine()
      const parent = context.parentURL
      if (line === undefined || parent === undefined) {
        throw denied(`the module "${specifier}"`, "Only a loaded plugin may import.")
      }
      const answer = ask(line, {
        specifier,
        parent,
        require: context.conditions?.includes("require") === true
      })
      if ("error" in answer)
        throw answer.syntax === true ? new SyntaxError(answer.error) : new Error(answer.error)
      Reflect.apply(setModule, modulesAnswered, [answer.url, answer])
      return {
        url: answer.url,
        format: answer.format,
        shortCircuit: true,
        importAttributes: context.importAttributes
      }
    },
    load(url, context, next) {
      if (url.startsWith(facadeScheme)) {
        return {
          format: "module",
          source: sources.get(cut(url, facadeScheme.length)) ?? "",
          shortCircuit: true
        }
      }
      const answer = Reflect.apply(getModule, modulesAnswered, [url])
      if (answer === undefined) return next(url, context)
      return { format: answer.format, source: answer.source, shortCircuit: true }
    }
  })

  // A plugin that could add hooks of its own would be asked before these.
  const refuse = (): never => {
    throw denied("module hooks", "A plugin cannot change how modules load.")
  }
  for (const name of ["registerHooks", "register", "setSourceMapsSupport"]) {
    Object.defineProperty(nodeModule.Module, name, { value: refuse, writable: false, configurable: false })
  }
}
