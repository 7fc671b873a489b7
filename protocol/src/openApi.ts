/**
 * Completes the OpenAPI document. A parameter arrives as text, so Effect documents numbers as texts with a pattern.
 * People and tools want the numbers, with their bounds and descriptions.
 */
import { Schema } from "effect"
import { HttpApi, type HttpApiGroup } from "effect/http-api"

type Properties = { readonly [name: string]: unknown }

const isObject = (value: unknown): value is Properties => typeof value === "object" && value !== null

/** The JSON Schema of each parameter as a client passes it. */
const declared = (parameters: Schema.Constraint | undefined): Properties => {
  if (parameters === undefined) return {}
  const { properties } = Schema.toJsonSchemaDocument(Schema.toType(Schema.make(parameters.ast))).schema
  return isObject(properties) ? properties : {}
}

/** An optional parameter may be left out, which JSON Schema writes as `null`. */
const withoutNull = (schema: Properties): Properties => {
  const [first, second, ...others] = Array.isArray(schema["anyOf"]) ? schema["anyOf"] : []
  return isObject(first) && isObject(second) && second["type"] === "null" && others.length === 0
    ? first
    : schema
}

const complete =
  (all: Properties) =>
  (parameter: unknown): unknown => {
    if (!isObject(parameter)) return parameter
    const known = all[String(parameter["name"])]
    if (!isObject(known)) return parameter
    const { description, ...schema } = withoutNull(known)
    return { ...parameter, schema, ...(description === undefined ? {} : { description }) }
  }

/** Writes the names of security schemes in lower case: Scalar takes `Bearer` for a user name and a password. */
const lowerSchemes = (components: unknown): unknown => {
  const schemes = isObject(components) ? components["securitySchemes"] : undefined
  if (!isObject(components) || !isObject(schemes)) return components
  const lower = Object.entries(schemes).map(([name, scheme]) => [
    name,
    isObject(scheme) && typeof scheme["scheme"] === "string"
      ? { ...scheme, scheme: scheme["scheme"].toLowerCase() }
      : scheme
  ])
  return { ...components, securitySchemes: Object.fromEntries(lower) }
}

/** Gives each parameter of the document its type, bounds and description. */
export const completeDocument = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  document: Record<string, unknown>
): Record<string, unknown> => {
  const paths: Record<string, unknown> = isObject(document["paths"]) ? { ...document["paths"] } : {}
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      const path = endpoint.path.replaceAll(/:(\w+)/g, "{$1}")
      const method = endpoint.method.toLowerCase()
      const item = paths[path]
      const operation = isObject(item) ? item[method] : undefined
      if (!isObject(item) || !isObject(operation) || !Array.isArray(operation["parameters"])) return
      const all = { ...declared(endpoint.params), ...declared(endpoint.headers), ...declared(endpoint.query) }
      paths[path] = {
        ...item,
        [method]: { ...operation, parameters: operation["parameters"].map(complete(all)) }
      }
    }
  })
  return { ...document, paths, components: lowerSchemes(document["components"]) }
}
