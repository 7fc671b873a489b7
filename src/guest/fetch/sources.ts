/** A body as a source of bytes. Each call of `next` returns one chunk. */
import { Bytes, copyOfBytes, isObject } from "../shared/intrinsics.ts"
import { encode } from "./capturedBuiltIns.ts"

export interface Source {
  /** The next chunk, or `undefined` at the end. Rejects if the body breaks off. */
  readonly next: () => Promise<Uint8Array | undefined>
  /** Releases the source. `next` is not called again. */
  readonly cancel: (reason?: unknown) => void
}

export const sourceOfBytes = (bytes: Uint8Array): Source => {
  let left: Uint8Array | undefined = bytes
  return {
    next: async () => {
      const chunk = left
      left = undefined
      return chunk
    },
    cancel: () => {
      left = undefined
    }
  }
}

/** Whether a body must be read chunk by chunk. */
export const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  isObject(value) && typeof Reflect.get(value, Symbol.asyncIterator) === "function"

/** A source over an async iterable of strings, buffers and views. Starts to iterate at the first `next`. */
export const sourceOfIterable = (iterable: AsyncIterable<unknown>): Source => {
  let iterator: AsyncIterator<unknown> | undefined
  return {
    next: async () => {
      iterator ??= iterable[Symbol.asyncIterator]()
      const { done, value } = await iterator.next()
      if (done === true) return undefined
      const bytes = typeof value === "string" ? encode(value) : copyOfBytes(value)
      if (bytes === undefined)
        throw new TypeError("a body's chunks must be strings, ArrayBuffers or views of them")
      return bytes
    },
    cancel: async () => {
      try {
        iterator ??= iterable[Symbol.asyncIterator]()
        await iterator.return?.()
      } catch {
        // The body is no longer needed, so an error in the plugin's stream is ignored.
      }
    }
  }
}

/** Reads a source to its end. */
export const collect = async (source: Source): Promise<Uint8Array<ArrayBuffer>> => {
  const chunks: Array<Uint8Array> = []
  let length = 0
  for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) {
    chunks.push(chunk)
    length += chunk.length
  }
  const bytes = new Bytes(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** Two sources of the same bytes. Chunks that the faster reader has read are kept for the slower one. */
export const tee = (source: Source): readonly [Source, Source] => {
  const reads: Array<Promise<Uint8Array | undefined>> = []
  let readers = 2
  const branch = (): Source => {
    let at = 0
    let cancelled = false
    return {
      next: async () => {
        if (cancelled) return undefined
        const chunk = await (reads[at++] ??= source.next())
        return chunk === undefined ? undefined : new Bytes(chunk)
      },
      cancel: (reason) => {
        if (cancelled) return
        cancelled = true
        if (--readers === 0) source.cancel(reason)
      }
    }
  }
  return [branch(), branch()]
}
