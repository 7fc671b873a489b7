/** The body of a request or response. It can be read once. */
import { Bytes, copyOfBytes, parse, tagOf } from "../shared/intrinsics.ts"
import { decode, encode, Stream } from "./capturedBuiltIns.ts"
import { collect, isAsyncIterable, type Source, sourceOfBytes, sourceOfIterable, tee } from "./sources.ts"

/** The values that a body can be made from. Any other value is converted to a string. */
export type BodyInit = string | URLSearchParams | ArrayBuffer | ArrayBufferView | AsyncIterable<unknown>

/** The type of `body`: an async iterable if the engine has no `ReadableStream`. */
export type ByteStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

interface ContentOptions {
  /** The media type that the given value implies. */
  readonly type?: string
  /** In bytes, if known. */
  readonly length?: number
  /** The stream that the plugin gave as the body. */
  readonly stream?: AsyncIterable<unknown>
}

/** A body's bytes and what is known about them. Plugins never hold a `Content`. */
export class Content {
  readonly #source: Source
  readonly options: ContentOptions

  constructor(source: Source, options: ContentOptions = {}) {
    this.#source = source
    this.options = options
  }

  get source(): Source {
    return this.#source
  }

  static is(value: unknown): value is Content {
    return typeof value === "object" && value !== null && #source in value
  }
}

const ofBytes = (bytes: Uint8Array, options: ContentOptions = {}): Content =>
  new Content(sourceOfBytes(bytes), { ...options, length: bytes.length })

/** Converts the value that a plugin gave as a body. */
export const contentOf = (init: unknown): Content | undefined => {
  if (init === undefined || init === null) return undefined
  if (Content.is(init)) return init
  const bytes = copyOfBytes(init)
  if (bytes !== undefined) return ofBytes(bytes)
  if (isAsyncIterable(init)) return new Content(sourceOfIterable(init), { stream: init })
  const isForm = tagOf(init) === "[object URLSearchParams]"
  return ofBytes(encode(`${init}`), {
    type: isForm ? "application/x-www-form-urlencoded;charset=UTF-8" : "text/plain;charset=UTF-8"
  })
}

/** Returns a body's content and marks the body as read. Throws if it was read before. */
export let takeContent: (body: Body) => Content | undefined
/** Splits a body's content between the body and a copy. */
export let cloneContent: (body: Body) => Content | undefined

export class Body {
  #content: Content | undefined
  #stream: object | undefined
  #used = false

  static {
    takeContent = (body) => {
      if (body.#content === undefined) return undefined
      body.#use()
      return body.#content
    }
    cloneContent = (body) => {
      if (body.#content === undefined) return undefined
      body.#use()
      const { stream: _, ...options } = body.#content.options
      const [own, copy] = tee(body.#content.source)
      body.#used = false
      body.#stream = undefined
      body.#content = new Content(own, options)
      return new Content(copy, options)
    }
  }

  constructor(content: Content | undefined) {
    this.#content = content
    this.#stream = content?.options.stream
  }

  /** A `ReadableStream` if the engine has one, otherwise an async iterable. */
  get body(): ByteStream | null {
    if (this.#content === undefined) return null
    this.#stream ??= this.#makeStream(this.#content.source)
    // Either made of bytes just above, or given by the plugin, which then knows what it holds.
    return this.#stream as ByteStream
  }

  get bodyUsed(): boolean {
    return this.#used
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#content === undefined) return new Bytes(0)
    this.#use()
    return collect(this.#content.source)
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer
  }

  async text(): Promise<string> {
    return decode(await this.bytes())
  }

  // Untyped, as on the Web: the caller knows what the JSON holds.
  async json(): Promise<unknown> {
    return parse(await this.text())
  }

  #use(): void {
    const locked: unknown = this.#stream === undefined ? false : Reflect.get(this.#stream, "locked")
    if (this.#used || locked === true) throw new TypeError("the body has been read already; clone() it first")
    this.#used = true
  }

  #makeStream({ next, cancel }: Source): object {
    const pull = (): Promise<Uint8Array | undefined> => {
      this.#used = true
      return next()
    }
    if (Stream === undefined) {
      return {
        [Symbol.asyncIterator]: () => ({
          next: async () => {
            const value = await pull()
            return value === undefined ? { done: true, value } : { done: false, value }
          },
          return: async () => {
            cancel()
            return { done: true, value: undefined }
          }
        })
      }
    }
    return new Stream<Uint8Array>(
      {
        pull: async (controller) => {
          const chunk = await pull()
          if (chunk === undefined) controller.close()
          else controller.enqueue(chunk)
        },
        cancel
      },
      // No read-ahead: bytes that the plugin has not asked for stay on the server.
      { highWaterMark: 0 }
    )
  }
}
