/** Formats values for the log, in the style of Node's `util.inspect`. */

const maxDepth = 2
const maxItems = 100
const maxText = 10_000
const lineLength = 72

/** The objects that contain the current value, outermost first. */
type Path = ReadonlyArray<object>

const quoted = (text: string): string => {
  const shown = text.length > maxText ? `${text.slice(0, maxText)}…` : text
  const json = JSON.stringify(shown)
  return shown.includes("'") ? json : `'${json.slice(1, -1).replaceAll('\\"', '"')}'`
}

const keyText = (key: string | symbol): string =>
  typeof key === "symbol" ? `[${String(key)}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key)

/** The name of a value's class; empty if the constructor is not a function. */
const className = (value: object): string => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (typeof prototype !== "object" || prototype === null) return "[Object: null prototype]"
  const constructor: unknown = Reflect.get(prototype, "constructor")
  return typeof constructor === "function" ? constructor.name : ""
}

const errorText = (error: Error): string => {
  const head = `${error.name}: ${error.message}`
  const stack = typeof error.stack === "string" ? error.stack.trimEnd() : ""
  return stack === "" ? `[${head}]` : `${head}\n${stack}`
}

const propertyText = (value: object, key: string | symbol, path: Path): string => {
  const descriptor = Object.getOwnPropertyDescriptor(value, key)
  if (descriptor?.get !== undefined) return descriptor.set === undefined ? "[Getter]" : "[Getter/Setter]"
  if (descriptor?.set !== undefined) return "[Setter]"
  return inspect(descriptor?.value, path)
}

const isIndex = (key: string | symbol): boolean => typeof key === "string" && /^\d+$/.test(key)

const withMore = (texts: Array<string>, total: number): Array<string> =>
  total > maxItems
    ? [...texts, `... ${total - maxItems} more item${total === maxItems + 1 ? "" : "s"}`]
    : texts

const items = (values: Iterable<unknown>, total: number, show: (value: unknown) => string): Array<string> => {
  const texts: Array<string> = []
  for (const value of values) {
    if (texts.length === maxItems) break
    texts.push(show(value))
  }
  return withMore(texts, total)
}

const joined = (open: string, parts: ReadonlyArray<string>, close: string): string => {
  if (parts.length === 0) return open + close
  const line = `${open} ${parts.join(", ")} ${close}`
  if (line.length <= lineLength && !line.includes("\n")) return line
  return `${open}\n${parts.map((part) => `  ${part.replaceAll("\n", "\n  ")}`).join(",\n")}\n${close}`
}

const objectText = (value: object, path: Path): string => {
  if (path.includes(value)) return "[Circular]"
  const name = className(value)
  if (value instanceof Error) return errorText(value)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString()
  if (value instanceof RegExp) return String(value)
  if (value instanceof Promise) return "Promise { ... }"
  const list = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))
  if (path.length > maxDepth) return list ? `[${name}]` : `[${name || "Object"}]`
  const inside = [...path, value]
  const show = (item: unknown): string => inspect(item, inside)
  const properties = Reflect.ownKeys(value)
    .filter(
      (key) => Object.getOwnPropertyDescriptor(value, key)?.enumerable === true && !(list && isIndex(key))
    )
    .slice(0, maxItems)
    .map((key) => `${keyText(key)}: ${propertyText(value, key, inside)}`)
  if (list) {
    const length = Number(Reflect.get(value, "length"))
    const texts = items(value as Iterable<unknown>, length, show)
    return joined(name === "Array" ? "[" : `${name}(${length}) [`, [...texts, ...properties], "]")
  }
  if (value instanceof Map) {
    const entries = items(value, value.size, (entry) =>
      (entry as ReadonlyArray<unknown>).map(show).join(" => ")
    )
    return joined(`${name}(${value.size}) {`, [...entries, ...properties], "}")
  }
  if (value instanceof Set) {
    return joined(`${name}(${value.size}) {`, [...items(value, value.size, show), ...properties], "}")
  }
  if (value instanceof ArrayBuffer) return `ArrayBuffer { byteLength: ${value.byteLength} }`
  const tag: unknown = Reflect.get(value, Symbol.toStringTag)
  const label = typeof tag === "string" && tag !== name ? `${name || "Object"} [${tag}]` : name
  return joined(label === "Object" ? "{" : `${label} {`.trimStart(), properties, "}")
}

const functionText = (value: { readonly name: string }): string => {
  const isClass = String(value).startsWith("class")
  return `[${isClass ? "class" : "Function"}${isClass ? " " : ": "}${value.name || "(anonymous)"}]`
}

/** Formats a value as part of another value. */
const inspect = (value: unknown, path: Path): string => {
  if (typeof value === "string") return quoted(value)
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "function") return functionText(value)
  if (typeof value === "object" && value !== null) return objectText(value, path)
  return Object.is(value, -0) ? "-0" : String(value)
}

const shown = (value: unknown): string => (typeof value === "string" ? value : inspect(value, []))

const asNumber = (value: unknown, whole: boolean): string => {
  if (typeof value === "bigint") return `${value}n`
  if (typeof value === "symbol" || typeof value === "object") return "NaN"
  const number = Number(value)
  return String(whole ? Math.trunc(number) : number)
}

/** Formats the arguments of `console.log` as one log line. */
export const format = (args: ReadonlyArray<unknown>): string => {
  const [first, ...rest] = args
  if (typeof first !== "string" || !first.includes("%")) return args.map(shown).join(" ")
  let used = 0
  const text = first.replace(/%[sdifjoOc%]/g, (directive) => {
    if (directive === "%%") return rest.length === 0 ? directive : "%"
    if (used >= rest.length) return directive
    const value = rest[used++]
    switch (directive) {
      case "%s":
        return typeof value === "object" ? inspect(value, []) : shown(value)
      case "%d":
      case "%f":
        return asNumber(value, false)
      case "%i":
        return asNumber(value, true)
      case "%j":
        return String(JSON.stringify(value))
      case "%c":
        return ""
      default:
        return inspect(value, [])
    }
  })
  return [text, ...rest.slice(used).map(shown)].join(" ")
}
