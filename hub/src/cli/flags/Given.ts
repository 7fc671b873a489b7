/** Input besides flags: text from stdin, and the user's name. */
import { Context, Effect, Option, Stdio, Stream } from "effect"
import { Argument, Flag } from "effect/cli"
import * as os from "node:os"
import { CommandError } from "../CommandError.ts"

/** More than any hub accepts. The limit keeps an endless pipe from being read forever. */
const maxInput = 1024 * 1024

const invalid = (reason: string) => new CommandError({ reason, code: "INVALID_INPUT" })

/** Whether text from stdin keeps its final newline, as in Agentlip v1. Default `false`. */
export const KeepsNewline = Context.Reference<boolean>("@agentlip/hub/KeepsNewline", {
  defaultValue: () => false
})

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
  return (yield* KeepsNewline) ? text : text.replace(/\r?\n$/, "")
})

export const textArgument = (name: string, description: string) =>
  Argument.String(name).pipe(Argument.withDescription(`${description}; - reads it from stdin`))

/** The argument itself, or stdin if it is `-`. */
export const textOf = (given: string) => (given === "-" ? readInput : Effect.succeed(given))

/** The name that is stored with the message. */
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

/** For changes: exit code 2 if the message has another version. */
export const expectedVersion = Flag.Int("expected-version").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Only if this is the message's version; else exit code 2"),
  Flag.optional
)

export const versionOf = (given: Option.Option<number>): { readonly expected_version?: number } =>
  Option.isSome(given) ? { expected_version: given.value } : {}
