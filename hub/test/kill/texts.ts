/** What clients write, and what the plugins `shouts` and `tags` are to find in it: known before any plugin runs. */
import { Effect, Random } from "effect"

export interface Text {
  readonly content: string
  readonly shouts: ReadonlyArray<{ readonly start: number; readonly end: number; readonly text: string }>
  /** Without repetition, each with its `#`. */
  readonly tags: ReadonlyArray<string>
}

const quiet = ["so", "it", "goes", "🙂", "naïve", "e\u0301te"]
const loud = ["LOUD", "CLEAR", "NOW", "ENOUGH"]
const tags = Array.from({ length: 20 }, (_, n) => `#tag${n}`)

/** Nothing is found in it, but it takes many pages of the database. */
const filler = "and so on, ".repeat(1_500)

/** A text that no other operation has: it starts with the operation's number. */
export const makeText = Effect.fnUntraced(function* (operation: number) {
  const shouts: Array<Text["shouts"][number]> = []
  const found = new Set<string>()
  let content = `op${operation}`
  const words = yield* Random.nextIntBetween(0, 8)
  for (let n = 0; n < words; n++) {
    const kind = yield* Random.next
    const word = yield* Effect.orDie(Random.choice(kind < 0.4 ? quiet : kind < 0.7 ? loud : tags))
    content += " "
    if (kind >= 0.4 && kind < 0.7) {
      shouts.push({ start: content.length, end: content.length + word.length, text: word })
    }
    if (kind >= 0.7) found.add(word)
    content += word
  }
  if ((yield* Random.next) < 0.02) content += ` ${filler}`
  return { content, shouts, tags: [...found] } satisfies Text
})
