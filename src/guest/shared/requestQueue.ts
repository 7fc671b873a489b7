/**
 * The guest's own queue: the host hands runs over ahead, several in a text, and whoever serves the line is given
 * one at a time. What has not begun when a run spoils the isolate never begins here: the host takes it elsewhere.
 */
import { eachRequest, leftoverOf, noTag, tagOf, typeOf, withTag } from "../../wire/codec.ts"
import { type HostLine, Leftover, ReplyType, RequestType } from "../../wire/messages.ts"

/** Whether a reply ends the use of this isolate. */
const spoils = (type: string, text: string): boolean =>
  type === ReplyType.uncrossable || leftoverOf(text) !== Leftover.none

/**
 * Turns of the event loop that are asked for together. Each ends with what a run left to be told of (a rejection that
 * nobody handles), but only the last has the loop look at all its sources, which costs more than most runs.
 */
const turnsAtOnce = 8

export interface RequestQueue extends HostLine {
  /** Turns that were asked for and have not come: they are none of the plugin's doing. */
  readonly turns: () => number
}

/**
 * A line that gives one request at a time. `later` calls back in another turn of the event loop, so that a late
 * error of one run is never taken for the next one's.
 */
export const queueRequests = (line: HostLine, later: (turn: () => void) => void): RequestQueue => {
  /** Runs that have not begun; taken from the front without moving the rest. */
  let waiting: Array<string> = []
  let from = 0
  let busy: string | undefined
  let spoiled = false
  let turns = 0
  let handle: (text: string) => void = () => {}

  const begin = (text: string): void => {
    busy = tagOf(text)
    handle(text)
  }
  const turn = (): void => {
    turns--
    if (busy !== undefined || from >= waiting.length) return
    const text = waiting[from] ?? ""
    from++
    if (from === waiting.length) {
      waiting = []
      from = 0
    }
    begin(text)
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

  const take = (text: string): void => {
    const type = typeOf(text)
    if (type === RequestType.abort) {
      spoiled = true
      drop()
    } else if (type === RequestType.run || type === RequestType.load) {
      if (spoiled) return
      if (busy === undefined && from >= waiting.length) return begin(text)
      waiting[waiting.length] = text
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
      // Whose fault a crash is: nobody's, if it came between two runs.
      if (type === ReplyType.crashed) return line.post(withTag(text, busy ?? noTag))
      line.post(text)
      if (
        type === ReplyType.log ||
        type === ReplyType.net ||
        type === ReplyType.audit ||
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
      line.listen((texts) => eachRequest(texts, take))
    }
  }
}
