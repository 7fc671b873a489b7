/**
 * The query language of search: words, "phrases", prefix*, OR, -not, NOT, AND, parentheses, NEAR(a b, 5), ^first.
 *
 * **Details**: words side by side must all be found. Operators are in upper case, as in SQLite's FTS5, whose syntax is
 * understood too: `a + b` is a phrase, and `content_raw:` before a word has no effect. Every other character separates
 * words, so `src/main.ts` is the phrase "src main ts".
 */
import { Result } from "effect"
import { wordsOf } from "./words.ts"

export type Query =
  | {
      /** Words in a row. */
      readonly _tag: "Phrase"
      readonly words: ReadonlyArray<string>
      /** The last word may be longer. */
      readonly prefix: boolean
      /** Only at the start of the text. */
      readonly first: boolean
    }
  | {
      readonly _tag: "Near"
      readonly phrases: ReadonlyArray<ReadonlyArray<string>>
      readonly distance: number
    }
  /** All of `all`, at least one, and none of `none`. */
  | { readonly _tag: "And"; readonly all: ReadonlyArray<Query>; readonly none: ReadonlyArray<Query> }
  | { readonly _tag: "Or"; readonly any: ReadonlyArray<Query> }

/** What is wrong with a query, and where. */
export interface QueryProblem {
  readonly message: string
  /** In UTF-16 code units. */
  readonly at: number
  readonly length: number
}

/** Most UTF-16 code units of a query. */
export const maxQueryLength = 1_000

/** Most words of a query. */
export const maxQueryWords = 64

const maxDepth = 32
const nearByDefault = 10
const mostDistance = 100

/** A prefix of one letter would match a large part of the index. */
const leastPrefix = 2

const andNeeds = "AND needs words on both sides"

const isSpace = /\s/
const beginsNegated = /^-(?=[\p{L}\p{N}"(])/u
const bareWord = /^[^\s()"]+/
const wordInNear = /^[^\s()",]+/
const columnFilter = /^\{?\s*content_raw\s*\}?\s*:\s*/
const plus = /^\s*\+(?=[\s"])\s*/

/** Thrown within this file only. */
class Mistake extends Error {
  readonly problem: QueryProblem
  constructor(problem: QueryProblem) {
    super(problem.message)
    this.problem = problem
  }
}

const fail = (message: string, at: number, length: number): never => {
  throw new Mistake({ message, at, length })
}

interface Found {
  readonly words: ReadonlyArray<string>
  readonly prefix: boolean
}

/** Each method reads what its name says, from the current place on. `undefined`: there is nothing but punctuation. */
class Parser {
  readonly #text: string
  #at = 0
  #words = 0

  constructor(text: string) {
    this.#text = text
  }

  query(): Query {
    const query = this.#or(0)
    if (this.#at < this.#text.length) fail(") has no ( before it", this.#at, 1)
    return query ?? fail("has no word to search for", 0, this.#text.length)
  }

  get #rest(): string {
    return this.#text.slice(this.#at)
  }

  get #next(): string {
    return this.#text.charAt(this.#at)
  }

  #skipSpace(): void {
    while (isSpace.test(this.#next)) this.#at++
  }

  /** The bare word that comes next, without taking it. */
  #peek(): string {
    this.#skipSpace()
    return bareWord.exec(this.#rest)?.[0] ?? ""
  }

  #or(depth: number): Query | undefined {
    const first = this.#and(depth)
    const any = first === undefined ? [] : [first]
    while (this.#peek() === "OR") {
      const at = this.#at
      this.#at += 2
      const next = this.#and(depth)
      if (any.length === 0 || next === undefined) return fail("OR needs words on both sides", at, 2)
      any.push(next)
    }
    return any.length > 1 ? { _tag: "Or", any } : any[0]
  }

  #and(depth: number): Query | undefined {
    const all: Array<Query> = []
    const none: Array<Query> = []
    const start = this.#at
    /** The place of an AND that waits for its right side. */
    let and: number | undefined
    while (true) {
      const word = this.#peek()
      const at = this.#at
      if (at >= this.#text.length || word === "OR" || this.#next === ")") break
      if (word === "AND") {
        if (all.length + none.length === 0 || and !== undefined) fail(andNeeds, at, 3)
        and = at
        this.#at += 3
        continue
      }
      const sign = word === "NOT" ? 3 : beginsNegated.test(this.#rest) ? 1 : 0
      this.#at += sign
      if (sign > 0) this.#skipSpace()
      const found = this.#primary(depth)
      if (found !== undefined) {
        and = undefined
        const list = sign > 0 ? none : all
        list.push(found)
      } else if (sign > 0) fail(`${this.#text.slice(at, at + sign)} needs a word after it`, at, sign)
    }
    if (and !== undefined) fail(andNeeds, and, 3)
    if (all.length === 0 && none.length > 0)
      fail("excludes words and has none to find", start, this.#at - start)
    return all.length + none.length > 1 ? { _tag: "And", all, none } : all[0]
  }

  #primary(depth: number): Query | undefined {
    const at = this.#at
    if (this.#rest.startsWith("NEAR(")) return this.#near()
    this.#at += columnFilter.exec(this.#rest)?.[0].length ?? 0
    if (this.#next === "(") return this.#group(depth)
    const first = this.#next === "^"
    if (first) this.#at++
    let { words, prefix } = this.#phrase(bareWord)
    for (let more = plus.exec(this.#rest); more !== null && !prefix; more = plus.exec(this.#rest)) {
      this.#at += more[0].length
      const next = this.#phrase(bareWord)
      words = [...words, ...next.words]
      prefix = next.prefix
    }
    const [word] = words
    if (word === undefined) return undefined
    if (prefix && words.length === 1 && [...word].length < leastPrefix) {
      if (wordsOf(`${word}x`).length === 1)
        fail(`* needs at least ${leastPrefix} characters before it`, at, this.#at - at)
      // A character of a script without spaces is a whole word.
      prefix = false
    }
    return { _tag: "Phrase", words, prefix, first }
  }

  #group(depth: number): Query | undefined {
    const at = this.#at
    if (depth === maxDepth) fail(`has more than ${maxDepth} ( in each other`, at, 1)
    this.#at++
    const inner = this.#or(depth + 1)
    this.#skipSpace()
    if (this.#next !== ")") fail("( has no ) after it", at, 1)
    this.#at++
    return inner
  }

  /** A "phrase" or a bare word, with the star after it. */
  #phrase(bare: RegExp): Found {
    const at = this.#at
    let found = bare.exec(this.#rest)?.[0] ?? ""
    this.#at += found.length
    if (found === "" && this.#next === '"') {
      const end = this.#text.indexOf('"', at + 1)
      if (end < 0) fail('" has no " after it', at, 1)
      found = this.#text.slice(at + 1, end)
      this.#at = end + 1
    }
    const star = /^\s*\*/.exec(this.#rest)?.[0] ?? ""
    this.#at += star.length
    const words = wordsOf(found).map(({ word }) => word)
    this.#words += words.length
    if (this.#words > maxQueryWords) fail(`has more than ${maxQueryWords} words`, at, this.#at - at)
    return { words, prefix: star !== "" || (found.endsWith("*") && this.#text.charAt(at) !== '"') }
  }

  /** The number of words at the end of NEAR. */
  #distance(): number {
    const at = this.#at
    const [taken = "", number = ""] = /^,\s*(\d*)\s*/.exec(this.#rest) ?? []
    this.#at += taken.length
    if (number === "" || Number(number) > mostDistance || this.#next !== ")")
      fail(`, in NEAR needs a number up to ${mostDistance} and a ) after it`, at, taken.length)
    return Number(number)
  }

  #near(): Query | undefined {
    const at = this.#at
    this.#at += "NEAR(".length
    const phrases: Array<ReadonlyArray<string>> = []
    let distance = nearByDefault
    for (this.#skipSpace(); this.#next !== ")"; this.#skipSpace()) {
      if (this.#next === ",") distance = this.#distance()
      else if (this.#next === "" || this.#next === "(") fail("NEAR( has no ) after it", at, 5)
      else {
        const { words } = this.#phrase(wordInNear)
        if (words.length > 0) phrases.push(words)
      }
    }
    this.#at++
    const [words, ...others] = phrases
    if (words === undefined) return undefined
    return others.length === 0
      ? { _tag: "Phrase", words, prefix: false, first: false }
      : { _tag: "Near", phrases, distance }
  }
}

/**
 * Reads a query.
 *
 * @example
 * ```ts
 * parseQuery('deploy "on friday" -draft') // all of: deploy, "on friday"; none of: draft
 * ```
 */
export const parseQuery = (text: string): Result.Result<Query, QueryProblem> => {
  const { length } = text
  try {
    if (length > maxQueryLength)
      fail(`is longer than ${maxQueryLength} characters`, maxQueryLength, length - maxQueryLength)
    return Result.succeed(new Parser(text).query())
  } catch (mistake) {
    if (mistake instanceof Mistake) return Result.fail(mistake.problem)
    throw mistake
  }
}
