/** Validates a plugin's config with the plugin's own schema. */
import { isObject } from "./intrinsics.ts"

/** A refusal to load with a message for the plugin's author. */
export class LoadRefusal extends Error {
  override name = "LoadRefusal"
  readonly missingMethod: string | undefined

  constructor(message: string, missingMethod?: string) {
    super(message)
    this.missingMethod = missingMethod
  }
}

const pathOf = (path: unknown): string => {
  if (!Array.isArray(path)) return "config"
  return path.reduce<string>((text, part) => {
    const key: unknown = isObject(part) ? Reflect.get(part, "key") : part
    return typeof key === "number" ? `${text}[${key}]` : `${text}.${String(key)}`
  }, "config")
}

/**
 * Validates the operator's config with the plugin's `configSchema` and returns the result. Without a schema,
 * returns the config unchanged.
 */
export const configOf = async (plugin: object, config: unknown): Promise<unknown> => {
  const schema: unknown = Reflect.get(plugin, "configSchema")
  if (schema === undefined) return config
  const standard: unknown = isObject(schema) ? Reflect.get(schema, "~standard") : undefined
  const validate: unknown = isObject(standard) ? Reflect.get(standard, "validate") : undefined
  if (typeof validate !== "function") {
    throw new LoadRefusal("its configSchema is not a Standard Schema (it has no ~standard.validate)")
  }
  const result: unknown = await Reflect.apply(validate, standard, [config])
  if (!isObject(result)) throw new LoadRefusal("its configSchema did not answer with a result")
  const issues: unknown = Reflect.get(result, "issues")
  if (!Array.isArray(issues)) return Reflect.get(result, "value")
  const lines = issues
    .slice(0, 10)
    .map((issue: unknown) =>
      isObject(issue)
        ? `${pathOf(Reflect.get(issue, "path"))}: ${String(Reflect.get(issue, "message"))}`
        : String(issue)
    )
  throw new LoadRefusal(`its configSchema refuses the config: ${lines.join("; ")}`)
}
