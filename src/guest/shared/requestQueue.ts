/**
 * The guest's own queue. The host sends runs ahead, several per message; the queue passes them on one at a time. If
 * a run spoils the isolate, the queue drops the runs that have not started: the host runs them in another isolate.
 */
import { eachRequest, leftoverOf, noTag, tagOf, typeOf, withTag } from "../../wire/codec.ts"
import { type HostLine, Leftover, ReplyType, RequestType } from "../../wire/messages.ts"
import type { LongText } from "../../wire/runInput.ts"

interface Request {
  readonly text: string
  readonly texts: ReadonlyArray<LongText> | undefined
}

/** Whether this isolate cannot be used after a reply. */
const spoils = (type: string, text: string): boolean =>
  type === ReplyType.uncrossable || leftoverOf(text) !== Leftover.none

/**
 * The most event-loop turns to request at once. Unhandled rejections of a run are reported at the end of each turn.
 * Only the last turn makes the loop poll all its sources, which costs more than most runs.
 */
const turnsAtOnce = 8

export interface RequestQueue extends HostLine {
  /** The number of requested turns that have not come. They do not count as the plugin's open resources. */
  readonly turns: () => number
}

/**
 * Wraps a line so that it delivers one request at a time. `later` must call back in another turn of the event loop,
 * so that a late error of one run is not attributed to the next.
 */
export const queueRequests = (line: HostLine, later: (turn: () => void) => void): RequestQueue => {
  /** Runs that have not started. `from` marks the first, so that the rest need not move. */
  let waiting: Array<Request> = []
  let from = 0
  let busy: string | undefined
  let spoiled = false
  let turns = 0
  let handle: (text: string, texts?: Request["texts"]) => void = () => {}

  const begin = ({ text, texts }: Request): void => {
    busy = tagOf(text)
    handle(text, texts)
  }
  const turn = (): void => {
    turns--
    if (busy !== undefined || from >= waiting.length) return
    const next = waiting[from]
    from++
    if (from === waiting.length) {
      waiting = []
      from = 0
    }
    if (next !== undefined) begin(next)
  }
  const ask = (): void => {
    while (turns < turnsAtOnce && turns < waiting.length - from) {
      turns++
      later(turn)
    }
  }
  const answered = (): void => {
    busy = undefined
    ask()
  }
  const drop = (): void => {
    waiting = []
    from = 0
  }

  const take = (text: string, texts?: Request["texts"]): void => {
    const type = typeOf(text)
    if (type === RequestType.abort) {
      spoiled = true
      drop()
    } else if (type === RequestType.run || type === RequestType.load) {
      if (spoiled) return
      if (busy === undefined && from >= waiting.length) return begin({ text, texts })
      waiting[waiting.length] = { text, texts }
      if (busy === undefined) ask()
      return
    }
    handle(text)
  }

  return {
    turns: () => turns,
    modules: line.modules,
    post: (text) => {
      const type = typeOf(text)
      // Attributes a crash to the current run, or to no run if it happened between two.
      if (type === ReplyType.crashed) return line.post(withTag(text, busy ?? noTag))
      line.post(text)
      if (
        type === ReplyType.log ||
        type === ReplyType.net ||
        type === ReplyType.audit ||
        type === ReplyType.waiting ||
        type === ReplyType.hello
      )
        return
      if (spoils(type, text)) {
        spoiled = true
        drop()
      }
      answered()
    },
    listen: (handler) => {
      handle = handler
      line.listen((text, texts) => (texts === undefined ? eachRequest(text, take) : take(text, texts)))
    }
  }
}
