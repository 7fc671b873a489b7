/** Waits until files change. */
import { type Duration, Effect } from "effect"
import { type FileStates, haveChanged } from "./fileStates.ts"

/**
 * Waits until a file differs from `states`, and then until no file has changed for one interval: an editor may still be
 * writing. `look` returns the files that matter by then, as they are.
 */
export const untilChanged = Effect.fnUntraced(function* (
  states: FileStates,
  { look, interval }: { readonly look: () => FileStates; readonly interval: Duration.Input }
): Effect.fn.Return<void> {
  while (!haveChanged(states)) yield* Effect.sleep(interval)
  for (let now = look(); ; now = look()) {
    yield* Effect.sleep(interval)
    if (!haveChanged(now)) return
  }
})
