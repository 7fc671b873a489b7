/**
 * The source of a module that exports the members of an object. `value` is the code of that object, which the module
 * exports under the names `whole`.
 */
export const reexport = (
  value: string,
  members: ReadonlyArray<string>,
  whole: ReadonlyArray<string>
): string => {
  const exports = [
    ...members.map((name, index) => `e${index} as ${JSON.stringify(name)}`),
    ...whole.map((name) => `it as ${JSON.stringify(name)}`)
  ]
  return [
    `const it = ${value}`,
    ...members.map((name, index) => `const e${index} = it[${JSON.stringify(name)}]`),
    `export { ${exports.join(", ")} }`
  ].join("\n")
}
