/**
 * What a plugin's guests ask their loader for after the entry is mostly the same each time: it comes with the entry,
 * so that a guest waits once and not for each module.
 */
import { parse } from "./intrinsics.ts"
import type { ModuleAnswer, ModuleLine, ModuleRequest } from "./protocol.ts"

export type ModuleText = Exclude<ModuleAnswer, { readonly error: string }>

/** Requests with the same key have the same answer. */
export const keyOf = ({ specifier, parent, require }: ModuleRequest): string =>
  `${require ? "require" : "import"}\n${parent}\n${specifier}`

/** An answer that holds more than was asked for. */
export interface AheadAnswer {
  readonly url: string
  readonly format: "ahead"
  /** JSON of an `Ahead`: of all that is in it, nothing is bytes. */
  readonly source: string
}

export interface Ahead {
  readonly asked: ModuleText
  readonly more: ReadonlyArray<readonly [key: string, module: ModuleText]>
}

const isAhead = (answer: ModuleAnswer | AheadAnswer): answer is AheadAnswer =>
  !("error" in answer) && answer.format === "ahead"

/** Asks a line, unless the answer has come ahead. Without prototypes, which a plugin could patch. */
export const makeAsk = (): ((line: ModuleLine, request: ModuleRequest) => ModuleAnswer) => {
  const known: { [key: string]: ModuleText } = Object.create(null)
  return (line, request) => {
    const here = known[keyOf(request)]
    if (here !== undefined) return here
    const answer: ModuleAnswer | AheadAnswer = line.ask(request)
    if (!isAhead(answer)) return answer
    const { asked, more }: Ahead = parse(answer.source)
    for (let at = 0; at < more.length; at++) {
      const next = more[at]
      if (next !== undefined) known[next[0]] = next[1]
    }
    return asked
  }
}
