/** A message that the hub has not confirmed. */
import type { Thread } from "../state/Thread.ts"
import type { Unsent } from "../state/Outbox.ts"
import { Name, Visible } from "./Name.tsx"

export const UnsentItem = ({ thread, unsent }: { readonly thread: Thread; readonly unsent: Unsent }) => (
  <li class="message unsent">
    <header>
      <strong>
        <Name text={unsent.sender} />
      </strong>
      <span class="quiet">{unsent.problem === undefined ? "sending…" : "not sent"}</span>
    </header>
    <p class="text" dir="auto">
      <Visible text={unsent.content_raw.slice(0, 3_000)} />
    </p>
    {unsent.problem !== undefined && (
      <div class="confirm" role="alert">
        <span class="problem">{unsent.problem}</span>
        <button type="button" onClick={() => void thread.outbox.retry(unsent)}>
          Send again
        </button>
        <button type="button" onClick={() => thread.outbox.discard(unsent)}>
          Discard
        </button>
      </div>
    )}
  </li>
)
