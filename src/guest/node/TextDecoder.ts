/**
 * The Web's `TextDecoder`, as a wrapper of Node's. Node's exposes a native object, and aborts the process if a
 * plugin replaces that object.
 */
import { apply } from "../shared/intrinsics.ts"

const Real = globalThis.TextDecoder
const { decode } = Real.prototype

export class TextDecoder {
  readonly #real: InstanceType<typeof Real>
  readonly encoding: string
  readonly fatal: boolean
  readonly ignoreBOM: boolean

  constructor(...args: ConstructorParameters<typeof Real>) {
    this.#real = new Real(...args)
    this.encoding = this.#real.encoding
    this.fatal = this.#real.fatal
    this.ignoreBOM = this.#real.ignoreBOM
  }

  get [Symbol.toStringTag](): string {
    return "TextDecoder"
  }

  decode(...args: Parameters<typeof decode>): string {
    return apply(decode, this.#real, args)
  }
}
