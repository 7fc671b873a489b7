/** What a polluted prototype would show: every own property of the built-in ones, and where it leads. */
const prototypes = [Object, Array, String, Number, Boolean, Function, Promise, Map, Error].map(
  (constructor): object => constructor.prototype
)

const numbers = new WeakMap<object, number>()
let known = 0

/** A value as text; objects and functions by when they were first met, so that another one is another text. */
const identity = (value: unknown): string => {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return `${typeof value} ${String(value)}`
  }
  const number = numbers.get(value) ?? known++
  numbers.set(value, number)
  return `${typeof value} ${number}`
}

/** Equal to an earlier one while no prototype has been changed meanwhile. */
export const census = (): string =>
  prototypes
    .flatMap((prototype) =>
      Reflect.ownKeys(prototype).map((key) => {
        const { value, get, set } = Reflect.getOwnPropertyDescriptor(prototype, key) ?? {}
        return [key.toString(), ...[value, get, set].map(identity)].join(" ")
      })
    )
    .join("\n")
