/**
 * What a guest has said and the host has not taken yet. Log lines of all isolates share a part of each turn of the
 * host's loop: what comes on top waits for the next turn, in its order, and so does all that comes behind it.
 */
import { ReplyType } from "../../wire/messages.ts"

/** Milliseconds of one turn of the loop that log lines may take. */
const share = 8

const turn = { spent: 0, isCounted: false }

const count = (millis: number): void => {
  turn.spent += millis
  if (turn.isCounted) return
  turn.isCounted = true
  setImmediate(() => {
    turn.spent = 0
    turn.isCounted = false
  })
}

const isLog = (message: unknown): boolean => typeof message === "string" && message[0] === ReplyType.log

export class MessageQueue {
  readonly #use: (message: unknown) => void
  #waiting: Array<unknown> = []
  /** The first that waits; taken from the front without moving the rest. */
  #from = 0

  constructor(use: (message: unknown) => void) {
    this.#use = use
  }

  /** Messages that wait for another turn. */
  get length(): number {
    return this.#waiting.length - this.#from
  }

  /** Takes a message, now or in another turn. */
  put(message: unknown): void {
    if (this.length === 0 && this.#isDue(message)) return this.#take(message)
    this.#waiting.push(message)
    if (this.length === 1) setImmediate(() => this.#drain())
  }

  /** Nothing more will come: log lines that still wait are dropped, everything else is taken now. */
  end(): void {
    const waiting = this.#waiting.slice(this.#from)
    this.#waiting = []
    this.#from = 0
    for (const message of waiting) if (!isLog(message)) this.#use(message)
  }

  #isDue(message: unknown): boolean {
    return turn.spent < share || !isLog(message)
  }

  #drain(): void {
    while (this.length > 0) {
      const message = this.#waiting[this.#from]
      if (!this.#isDue(message)) {
        setImmediate(() => this.#drain())
        return
      }
      this.#from++
      this.#take(message)
    }
    this.#waiting = []
    this.#from = 0
  }

  #take(message: unknown): void {
    if (!isLog(message)) return this.#use(message)
    const start = performance.now()
    this.#use(message)
    count(performance.now() - start)
  }
}
