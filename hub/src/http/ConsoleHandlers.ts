/** Makes links to the console, and starts and ends its sessions. */
import { Api, InvalidAuth } from "@agentlip/protocol"
import { Effect, Layer } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as os from "node:os"
import { removeCookie, setCookie } from "../console/Cookie.ts"
import { Sessions } from "../console/Sessions.ts"
import { CurrentSession } from "../console/SignedIn.ts"
import { Workspace } from "../workspace/Workspace.ts"

const SignInLive = HttpApiBuilder.group(
  Api,
  "consoleSignIn",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    return handlers.handle("signIn", ({ payload: { code }, request }) =>
      Effect.suspend(() => {
        const session = sessions.open(code)
        if (session === undefined) {
          return Effect.fail(
            new InvalidAuth({ error: "This link was used or has expired. Make a new one: agentlip open" })
          )
        }
        const headers = { "set-cookie": setCookie(request, session.id) }
        return Effect.succeed(HttpServerResponse.jsonUnsafe({ key: session.key }, { status: 201, headers }))
      })
    )
  })
)

/** The system's name of this user; empty if it has none. */
const userName = (): string => {
  try {
    return os.userInfo().username
  } catch {
    // A user id without an entry in the system's list of users.
    return ""
  }
}

const SessionsLive = HttpApiBuilder.group(
  Api,
  "console",
  Effect.fnUntraced(function* (handlers) {
    const sessions = yield* Sessions
    const { root } = yield* Workspace
    const user = userName()
    return handlers.handleAll({
      makeConsoleLink: () =>
        Effect.sync(() => {
          const { code, expiresAt } = sessions.makeLink()
          // The code is in the fragment, which browsers send to no server and write into no log.
          return { path: `/open#${code}`, expires_at: new Date(expiresAt).toISOString() }
        }),
      session: () => Effect.succeed({ user, workspace: root }),
      signOut: ({ request }) =>
        Effect.map(CurrentSession, (session) =>
          HttpServerResponse.jsonUnsafe(
            { ended: session !== undefined && sessions.end(session) },
            { headers: { "set-cookie": removeCookie(request) } }
          )
        )
    })
  })
)

export const ConsoleHandlersLive = Layer.mergeAll(SignInLive, SessionsLive)
