/**
 * What a plugin's guests ask their loader for after the entry is mostly the same each time: it comes with the entry,
 * so that a guest waits once and not for each module.
 */
import { parse } from "./intrinsics.ts"
import type {
  FrameHead,
  ModuleAnswer,
  ModuleFormat,
  ModuleFrame,
  ModuleLine,
  ModuleRequest
} from "./protocol.ts"

export type ModuleText = Exclude<ModuleAnswer, { readonly error: string }>

/** Requests with the same key have the same answer. */
export const keyOf = ({ specifier, parent, require }: ModuleRequest): string =>
  `${require ? "require" : "import"}\n${parent}\n${specifier}`

/** A module that has come, and is made a text when it is asked for. */
interface Come {
  readonly frame: ModuleFrame
  readonly url: string
  readonly format: ModuleFormat
  readonly from: number
  readonly to: number
}

const textOf = ({ frame, url, format, from, to }: Come): ModuleText => ({
  url,
  format,
  source: format === "wasm" ? frame.bytes(from, to) : frame.text(from, to)
})

/** Asks a line, unless the answer has come ahead. Without prototypes, which a plugin could patch. */
export const makeAsk = (): ((line: ModuleLine, request: ModuleRequest) => ModuleAnswer) => {
  const known: { [key: string]: Come } = Object.create(null)
  return (line, request) => {
    const asked = keyOf(request)
    const here = known[asked]
    if (here !== undefined) return textOf(here)
    const frame = line.ask(request)
    const head: FrameHead = parse(frame.head)
    if ("error" in head) return head
    const { modules } = head
    let answer: Come | undefined
    let from = 0
    for (let at = 0; at < modules.length; at++) {
      const module = modules[at]
      if (module === undefined) break
      const to = from + module[3]
      const come = { frame, url: module[1], format: module[2], from, to }
      from = to
      if (at === 0) answer = come
      else known[module[0]] = come
    }
    return answer === undefined ? { error: "the loader answered nothing" } : textOf(answer)
  }
}
