/** A time as people write it: `30d`, `12h` or `2 weeks`. */
import { Duration, Effect, Option } from "effect"
import { CommandError } from "../CommandError.ts"

const units = { ms: "millis", s: "seconds", m: "minutes", h: "hours", d: "days", w: "weeks" } as const
type Unit = keyof typeof units
const isUnit = (text: string): text is Unit => Object.hasOwn(units, text)

const parse = (given: string): Option.Option<Duration.Duration> => {
  const [, count = "", unit = ""] = /^(\d+) ?(ms|[smhdw])$/.exec(given.trim()) ?? []
  if (isUnit(unit)) return Duration.fromInput(`${Number(count)} ${units[unit]}`)
  // A number alone would be milliseconds, which is never what is meant.
  if (!/^\d+ [a-z]+$/.test(given.trim())) return Option.none()
  const [, word] = given.trim().split(" ")
  const known = [...Object.values(units), ...Object.values(units).map((unit) => unit.slice(0, -1))]
  return known.some((unit) => unit === word)
    ? Duration.fromInput(given.trim() as Duration.Input)
    : Option.none()
}

/** The milliseconds of an age. `flag` is named in the error. */
export const ageOf = (flag: string, given: string): Effect.Effect<number, CommandError> =>
  Option.match(parse(given), {
    onSome: (age) => Effect.succeed(Duration.toMillis(age)),
    onNone: () =>
      Effect.fail(
        new CommandError({
          reason: `--${flag}: expected an age such as 30d, 12h or "2 weeks", got ${JSON.stringify(given)}`,
          code: "INVALID_INPUT"
        })
      )
  })
