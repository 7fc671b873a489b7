/** Runs of one plugin that wait for an isolate, in the order in which they were submitted. */

/** A place in a queue. */
export class QueuePlace {
  /** Grows with each submission. A run that comes back from an isolate keeps its number, so it keeps its turn. */
  readonly number: number
  previous: this | undefined
  next: this | undefined
  isQueued = false

  constructor(number: number) {
    this.number = number
  }
}

/** A linked list, so that a run can be removed at once, however many wait. */
export class RunQueue<Run extends QueuePlace> {
  #first: Run | undefined
  #last: Run | undefined
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Inserts a run by its number: at the end if it is new, near the front if it has come back. */
  insert(run: Run): void {
    if (this.#last === undefined || this.#last.number < run.number) return this.#link(run, this.#last)
    let before = this.#first
    while (before !== undefined && before.number < run.number) before = before.next
    this.#link(run, before?.previous)
  }

  #link(run: Run, previous: Run | undefined): void {
    const next = previous === undefined ? this.#first : previous.next
    run.previous = previous
    run.next = next
    if (previous === undefined) this.#first = run
    else previous.next = run
    if (next === undefined) this.#last = run
    else next.previous = run
    run.isQueued = true
    this.#length++
  }

  /** Takes the run that has waited longest. */
  shift(): Run | undefined {
    const first = this.#first
    if (first !== undefined) this.remove(first)
    return first
  }

  /** Removes a run from any place; does nothing if it is not in the queue. */
  remove(run: Run): void {
    if (!run.isQueued) return
    const { previous, next } = run
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    run.previous = run.next = undefined
    run.isQueued = false
    this.#length--
  }
}
