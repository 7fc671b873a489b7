export { printable } from "../text.ts"
