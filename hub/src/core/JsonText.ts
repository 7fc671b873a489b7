/** JSON that is text already, and is inserted into other JSON without being parsed. */

/** A JSON value as text. */
export class JsonText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/**
 * An object as JSON, with one more field whose value is JSON text already.
 *
 * @example
 * ```ts
 * spliceJson({ id: "1" }, "data", `{"a":1}`) // {"id":"1","data":{"a":1}}
 * ```
 */
export const spliceJson = (
  object: { readonly [name: string]: unknown },
  field: string,
  json: string
): string => {
  const text = JSON.stringify(object)
  return `${text.slice(0, -1)}${text === "{}" ? "" : ","}${JSON.stringify(field)}:${json}}`
}

/** A list as JSON whose items are JSON text already. */
export const listJson = (items: ReadonlyArray<string>): string => `[${items.join(",")}]`
