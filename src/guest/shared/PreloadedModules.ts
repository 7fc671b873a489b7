/**
 * Modules that the loader sends ahead. A plugin's guests request mostly the same modules each time, so the loader
 * sends them with the entry: the guest waits once and not once per module.
 */
import { parse } from "./intrinsics.ts"
import {
  type FrameHead,
  type ModuleAnswer,
  type ModuleFormat,
  type ModuleFrame,
  type ModuleLine,
  type ModuleRefused,
  type ModuleRequest,
  requestKey
} from "../../wire/modules.ts"

export type ModuleText = Exclude<ModuleAnswer, { readonly error: string }>

/** A module that has arrived. Its text is decoded when it is requested. */
interface Arrived {
  readonly frame: ModuleFrame
  readonly url: string
  readonly format: ModuleFormat
  readonly from: number
  readonly to: number
}

const textOf = ({ frame, url, format, from, to }: Arrived): ModuleText => ({
  url,
  format,
  source: format === "wasm" ? frame.bytes(from, to) : frame.text(from, to)
})

type Known = { [key: string]: Arrived }

/**
 * Records the modules of a frame and returns the requested one. Loops by index, because a plugin can patch
 * iterators.
 */
const take = (
  known: Known,
  frame: ModuleFrame,
  { modules, requests }: Exclude<FrameHead, ModuleRefused>
): Arrived | undefined => {
  const arrived: { [index: number]: Arrived } = Object.create(null)
  let from = 0
  for (let at = 0; at < modules.length; at++) {
    const module = modules[at]
    if (module === undefined) break
    const to = from + module[2]
    arrived[at] = { frame, url: module[0], format: module[1], from, to }
    from = to
  }
  for (let at = 0; at < requests.length; at++) {
    const request = requests[at]
    const module = request === undefined ? undefined : arrived[request[3]]
    if (request === undefined || module === undefined) break
    const parent = typeof request[0] === "string" ? request[0] : (arrived[request[0]]?.url ?? "")
    known[requestKey({ specifier: request[1], parent, require: request[2] === 1 })] = module
  }
  return arrived[0]
}

/**
 * Returns a function that uses modules sent ahead and asks the loader for all others. Its maps have no prototype
 * that a plugin could patch.
 */
export const makeModuleRequester = (): ((line: ModuleLine, request: ModuleRequest) => ModuleAnswer) => {
  const known: Known = Object.create(null)
  return (line, request) => {
    const here = known[requestKey(request)]
    if (here !== undefined) return textOf(here)
    const frame = line.ask(request)
    const head: FrameHead = parse(frame.head)
    if ("error" in head) return head
    const answer = take(known, frame, head)
    return answer === undefined ? { error: "the loader answered nothing" } : textOf(answer)
  }
}
