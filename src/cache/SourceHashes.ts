/**
 * The hash of each cached plugin's modules, kept until their files change.
 *
 * The files are checked at most once a second. A module that was missing and exists now is found too. A package that
 * was installed nearer than the one in use is found when the graph is walked again.
 */
import { Deferred, type Duration, Effect, Exit, Result } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { changedAt, coarseness, stateIn } from "../fileStates.ts"
import { getOrMake } from "../getOrMake.ts"
import { hashModules } from "../modules/hashModules.ts"

/** How often files are checked for changes, in milliseconds: as often as for warm isolates. */
const checkInterval = 1_000

/** What is known of the modules. A graph that cannot be hashed has no integrity. */
interface Hashed {
  readonly integrity: string | undefined
  readonly stamps: ReadonlyMap<string, string>
  /** Whether all files were older than the walk. Then the stamps belong to the hashed contents. */
  readonly settled: boolean
}

const stampOf = async (file: string): Promise<{ readonly stamp: string; readonly changed: number }> => {
  try {
    const stat = await fs.promises.stat(file, { bigint: true })
    return { stamp: stateIn(stat), changed: changedAt(stat) }
  } catch {
    // Missing or unreadable, so it has changed.
    return { stamp: "", changed: 0 }
  }
}

const hash = Effect.fnUntraced(function* (
  entry: string,
  timeout: Duration.Duration
): Effect.fn.Return<Hashed> {
  const begun = Date.now()
  const hashed = yield* Effect.result(hashModules(entry, timeout))
  const files = Result.isFailure(hashed) ? [entry] : hashed.success.files
  const stamps = yield* Effect.promise(() =>
    Promise.all(files.map(async (file) => ({ file, ...(await stampOf(file)) })))
  )
  if (Result.isFailure(hashed)) yield* Effect.logDebug(`${entry} is not cached: ${hashed.failure.reason}`)
  return {
    integrity: Result.isFailure(hashed) ? undefined : hashed.success.integrity,
    stamps: new Map(stamps.map(({ file, stamp }) => [file, stamp])),
    settled: stamps.every(({ changed }) => changed < begun - coarseness)
  }
})

const isSame = async ({ stamps }: Hashed): Promise<boolean> => {
  const same = await Promise.all([...stamps].map(async ([file, was]) => (await stampOf(file)).stamp === was))
  return !same.includes(false)
}

/** One module's hash. Callers wait while it is made or checked. */
class SourceHash {
  readonly #entry: string
  #known: Hashed | undefined
  #checked = -Infinity
  #pending: Deferred.Deferred<boolean> | undefined

  constructor(entry: string) {
    this.#entry = entry
  }

  /** By the host's clock, because files change in real time. */
  get fresh(): boolean {
    return this.#known !== undefined && performance.now() - this.#checked < checkInterval
  }

  get integrity(): string | undefined {
    return this.#known?.integrity
  }

  /** Checks the files again at the next use. */
  doubt(): void {
    this.#checked = -Infinity
  }

  /** Hashing may take as long as a load of the plugin. */
  refresh(timeout: Duration.Duration): Effect.Effect<string | undefined> {
    return Effect.suspend((): Effect.Effect<string | undefined> => {
      if (this.#pending !== undefined) {
        // The caller that checked may have been interrupted.
        return Effect.flatMap(Deferred.await(this.#pending), (looked) =>
          looked ? Effect.succeed(this.integrity) : this.refresh(timeout)
        )
      }
      const pending = Deferred.makeUnsafe<boolean>()
      this.#pending = pending
      return this.#look(performance.now(), timeout).pipe(
        Effect.onExit((exit) => {
          this.#pending = undefined
          return Deferred.succeed(pending, Exit.isSuccess(exit))
        }),
        Effect.map(() => this.integrity)
      )
    })
  }

  #look(began: number, timeout: Duration.Duration): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const known = this.#known
      if (known === undefined || !known.settled || !(yield* Effect.promise(() => isSame(known)))) {
        this.#known = undefined
        this.#known = yield* hash(this.#entry, timeout)
      }
      this.#checked = began
    })
  }
}

export class SourceHashes {
  readonly #byEntry = new Map<string, SourceHash>()

  of(modulePath: string): SourceHash {
    return getOrMake(this.#byEntry, modulePath, () => new SourceHash(path.resolve(modulePath)))
  }
}
