/** What a browser without a session sees, and why. */
import type { Access } from "../session.ts"
import { recheck } from "../session.ts"

export const Gate = ({
  access
}: {
  readonly access: Extract<Access, { readonly state: "locked" | "checking" | "unreachable" }>
}) => {
  if (access.state === "checking") {
    return (
      <>
        <header class="top">
          <span class="brand">Agentlip</span>
        </header>
        <main class="gate" aria-busy="true" />
      </>
    )
  }
  if (access.state === "unreachable") {
    return (
      <main class="gate">
        <h1>The hub does not respond</h1>
        <p>
          Start it: <code>agentlip up</code>. A hub that was restarted may have another address:{" "}
          <code>agentlip open</code> knows it.
        </p>
        <p class="quiet" role="status">
          Trying again every two seconds…
        </p>
      </main>
    )
  }
  return (
    <main class="gate">
      <h1>Sign in with a link</h1>
      {access.problem !== undefined && (
        <p class="problem" role="alert">
          {access.problem}
        </p>
      )}
      <p>In a terminal, in the hub's workspace, run:</p>
      <pre>agentlip open</pre>
      <p class="quiet">
        It opens this page with a link that works once. No password, and no token in your browser.
      </p>
      <button type="button" onClick={() => void recheck()}>
        Try again
      </button>
    </main>
  )
}
