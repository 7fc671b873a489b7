/** Reads a plugin's module: its methods, name, version and declared capabilities. */
import type { LoadRequest } from "../../wire/messages.ts"
import { LoadRefusal } from "./configOf.ts"
import { quote } from "./describe.ts"
import { cut, isObject, stringify } from "./intrinsics.ts"

type Method = (input: unknown, context: object) => unknown

export interface PluginModule {
  readonly plugin: object
  /** The method to call: the first requested one that the plugin has. */
  readonly run: Method
  /** The JSON of a `PluginInfo`. */
  readonly info: string
}

interface NamedMethod {
  readonly method: string
  readonly plugin: object
  readonly run: Method
}

const findMethod = (namespace: object, method: string): NamedMethod | undefined => {
  for (const plugin of [Reflect.get(namespace, "default"), namespace]) {
    if (!isObject(plugin)) continue
    const run: unknown = Reflect.get(plugin, method)
    if (typeof run === "function")
      return { method, plugin, run: (input, context) => Reflect.apply(run, plugin, [input, context]) }
  }
  return undefined
}

const missingMethod = (namespace: object, method: string): LoadRefusal =>
  new LoadRefusal(
    isObject(Reflect.get(namespace, "default"))
      ? `its default export has no method "${method}"; add one, or configure it under the kind it was written for`
      : `it has no default export with a method "${method}"; add \`export default { name, version, ${method}(input) { … } }\``,
    method
  )

/** In characters of JSON. */
const maxCapabilities = 16_384

/** The plugin's declared capabilities as JSON that continues an object. The host validates them. */
const capabilitiesOf = (plugin: object): string => {
  const declared: unknown = Reflect.get(plugin, "capabilities")
  if (declared === undefined) return ""
  const text: unknown = stringify(declared)
  if (typeof text !== "string" || text.length > maxCapabilities) {
    throw new LoadRefusal("its `capabilities` are not { read, write, net, env } with lists of texts")
  }
  return `,"capabilities":${text}`
}

const textOf = (plugin: object, property: string, fallback: string): string => {
  const value: unknown = Reflect.get(plugin, property)
  return quote(typeof value === "string" ? cut(value, 0, 200) : fallback)
}

/** Reads a module's namespace. Throws a `LoadRefusal` if the module is not such a plugin. */
export const readPlugin = (
  namespace: object,
  { method, otherMethods, name }: Pick<LoadRequest, "method" | "otherMethods" | "name">
): PluginModule => {
  const found = [method, ...otherMethods]
    .map((one) => findMethod(namespace, one))
    .filter((one) => one !== undefined)
  const [first] = found
  if (first === undefined) throw missingMethod(namespace, method)
  const { plugin, run } = first
  const methods = found.map((one) => quote(one.method)).join()
  const texts = `"name":${textOf(plugin, "name", name)},"version":${textOf(plugin, "version", "0.0.0")}`
  return { plugin, run, info: `{${texts},"methods":[${methods}]${capabilitiesOf(plugin)}}` }
}
