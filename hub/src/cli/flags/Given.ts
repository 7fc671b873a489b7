/** What a command is given besides flags: text on stdin, and who types. */
import { Effect, Option, Stdio, Stream } from "effect"
import { Argument, Flag } from "effect/cli"
import * as os from "node:os"
import { CommandError } from "../CommandError.ts"

/** More than any hub takes; so that an endless pipe is not read forever. */
const maxInput = 1024 * 1024

const invalid = (reason: string) => new CommandError({ reason, code: "INVALID_INPUT" })

/** All of stdin, without the line end that shells put last. */
const readInput = Effect.gen(function* () {
  const { stdin } = yield* Stdio.Stdio
  const parts: Array<Uint8Array> = []
  let size = 0
  yield* stdin.pipe(
    Stream.takeWhile(() => size <= maxInput),
    Stream.runForEach((part) =>
      Effect.sync(() => {
        parts.push(part)
        size += part.length
      })
    ),
    Effect.mapError(({ message }) => invalid(`stdin cannot be read: ${message}`))
  )
  if (size > maxInput) return yield* invalid(`stdin holds more than ${maxInput} bytes`)
  const text = yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)),
    catch: () => invalid("stdin is not UTF-8 text")
  })
  return text.replace(/\r?\n$/, "")
})

export const textArgument = (name: string, description: string) =>
  Argument.String(name).pipe(Argument.withDescription(`${description}; - reads it from stdin`))

/** The text itself, or what stdin holds. */
export const textOf = (given: string) => (given === "-" ? readInput : Effect.succeed(given))

/** Who does it, for the message's record. */
export const personFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription(`${description}. Default: your name on this machine`),
    Flag.optional
  )

export const personOf = (given: Option.Option<string>, flag: string) =>
  Option.isSome(given)
    ? Effect.succeed(given.value)
    : Effect.try({
        try: () => os.userInfo().username,
        catch: () => invalid(`This machine knows no name for you; say who you are: --${flag} NAME`)
      })

/** For changes: refused with exit code 2 where the message has another version by now. */
export const expectedVersion = Flag.Int("expected-version").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Only if this is the message's version; else exit code 2"),
  Flag.optional
)

export const versionOf = (given: Option.Option<number>): { readonly expected_version?: number } =>
  Option.isSome(given) ? { expected_version: given.value } : {}
