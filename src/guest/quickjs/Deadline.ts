/**
 * The deadline of the current request. The engine asks for it while the plugin's code runs. Bun cannot end a busy thread:
 * there nothing else stops a loop.
 */

/**
 * In milliseconds after the deadline. The engine then stops by itself, so that the host's timer comes first. It is
 * shorter than the host waits for a death to be confirmed.
 */
const slack = 100

/**
 * In milliseconds. A longer time between two checks of the clock means that nothing ran here, e.g. because the
 * process was stopped. That time does not count.
 */
const pause = 500

export class Deadline {
  #time = Number.POSITIVE_INFINITY
  #stopAt = Number.POSITIVE_INFINITY
  #checkedAt = 0

  /** Sets how long each request may take, in milliseconds. */
  set(time: number): void {
    this.#time = time + slack
  }

  /** A request begins. */
  begin(): void {
    this.#checkedAt = performance.now()
    this.#stopAt = this.#checkedAt + this.#time
  }

  /** The request has ended. */
  end(): void {
    this.#stopAt = Number.POSITIVE_INFINITY
  }

  get isOver(): boolean {
    const now = performance.now()
    const since = now - this.#checkedAt
    this.#checkedAt = now
    if (since > pause) this.#stopAt += since
    return now > this.#stopAt
  }
}
