/**
 * Messages of a guest that the host has not taken yet. Log lines of all isolates together get a share of each turn of
 * the host's event loop. Once it is used up, log lines wait for the next turn, and so does every message behind them.
 */
import { ReplyType } from "../../wire/messages.ts"

/** Milliseconds per turn of the event loop that log lines may take. */
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
  /** Index of the first that waits: taking it moves no other. */
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

  /** No more messages come: drops log lines that wait, and takes everything else now. */
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
