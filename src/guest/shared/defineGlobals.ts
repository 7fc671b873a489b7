/** Defines globals like an engine's own: not enumerable, and the plugin may change them. */
export const defineGlobals = (globals: { readonly [name: string]: unknown }): void => {
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true })
  }
}
