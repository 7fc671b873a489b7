/**
 * Finds a query in the words of one text. The index finds candidates; what is decided here is the same on both
 * databases.
 */
import type { Query } from "./Query.ts"
import type { Range, Word } from "./words.ts"

/** Words that match, each with its place in the list of words. */
interface Hit extends Range {
  readonly index: number
}

const accepts = (word: string, wanted: string, prefix: boolean): boolean =>
  prefix ? word.startsWith(wanted) : word === wanted

/** A single word is also found as part of a name. */
const singles = (words: ReadonlyArray<Word>, wanted: string, prefix: boolean): ReadonlyArray<Hit> =>
  words.flatMap((word, index): ReadonlyArray<Hit> => {
    if (accepts(word.word, wanted, prefix)) return [{ index, start: word.start, end: word.end }]
    return word.parts
      .filter((part) => accepts(part.word, wanted, prefix))
      .map(({ start, end }) => ({ index, start, end }))
  })

const phrases = (
  words: ReadonlyArray<Word>,
  wanted: ReadonlyArray<string>,
  prefix: boolean
): ReadonlyArray<Hit> => {
  const last = wanted.length - 1
  return words.flatMap(({ start }, index): ReadonlyArray<Hit> => {
    const end = words[index + last]
    const isFound =
      end !== undefined &&
      wanted.every((each, offset) =>
        accepts(words[index + offset]?.word ?? "", each, prefix && offset === last)
      )
    return isFound ? [{ index, start, end: end.end }] : []
  })
}

const hitsOf = (
  words: ReadonlyArray<Word>,
  wanted: ReadonlyArray<string>,
  prefix: boolean
): ReadonlyArray<Hit> => {
  const [first = "", ...others] = wanted
  return others.length === 0 ? singles(words, first, prefix) : phrases(words, wanted, prefix)
}

/** All phrases within a stretch: at most `distance` words between the end of its first one and the start of its last. */
const near = (
  words: ReadonlyArray<Word>,
  wanted: ReadonlyArray<ReadonlyArray<string>>,
  distance: number
): ReadonlyArray<Hit> | undefined => {
  const found = wanted.map((phrase) => phrases(words, phrase, false))
  const within = new Set<Hit>()
  found.forEach((hits, which) => {
    const length = wanted[which]?.length ?? 1
    for (const first of hits) {
      const around = found.map((others) =>
        others.filter(({ index }) => index >= first.index && index <= first.index + length + distance)
      )
      if (around.every(({ length }) => length > 0)) for (const hit of around.flat()) within.add(hit)
    }
  })
  return within.size === 0 ? undefined : [...within]
}

/** The ranges of a text that a query finds, or `undefined` if the text does not match. */
export const matches = (query: Query, words: ReadonlyArray<Word>): ReadonlyArray<Range> | undefined => {
  switch (query._tag) {
    case "Phrase": {
      const hits = hitsOf(words, query.words, query.prefix)
      const found = query.first ? hits.filter(({ index }) => index === 0) : hits
      return found.length === 0 ? undefined : found
    }
    case "Near":
      return near(words, query.phrases, query.distance)
    case "And": {
      if (query.none.some((each) => matches(each, words) !== undefined)) return undefined
      const found: Array<Range> = []
      for (const each of query.all) {
        const ranges = matches(each, words)
        if (ranges === undefined) return undefined
        found.push(...ranges)
      }
      return found
    }
    case "Or": {
      const found = query.any.map((each) => matches(each, words)).filter((ranges) => ranges !== undefined)
      return found.length === 0 ? undefined : found.flat()
    }
  }
}
