/** How a browser gets a session of the web console. A session stands for the hub's token, which never leaves the hub. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { InvalidAuth } from "./Errors.ts"
import { Authorization, EveryRequest, TextBody, Validation } from "./Middlewares.ts"
import { described } from "./parameters.ts"
import * as Texts from "./Texts.ts"

const description = "Links to the web console, and sessions of browsers."

/** Exchanges the code of a link for a session. Needs no token: the code is the proof. */
export class ConsoleSignIn extends HttpApiGroup.make("consoleSignIn")
  .add(
    HttpApiEndpoint.post("signIn", "/console/sessions", {
      payload: Schema.Struct({ code: described("The part of the link behind the `#`.", Texts.id) }),
      success: Schema.Struct({
        key: described(
          "One half of the session, sent as `Authorization: Session <key>`. The other half is the response's cookie.",
          Schema.String
        )
      }).annotate({ httpApiStatus: 201 }),
      error: InvalidAuth
    }).annotate(OpenApi.Summary, "Sign a browser in with the code of a link")
  )
  .middleware(TextBody)
  .middleware(Validation)
  .middleware(EveryRequest)
  .annotateMerge(OpenApi.annotations({ title: "Console: sign in", description }))
  .prefix("/api/v1") {}

export class Console extends HttpApiGroup.make("console")
  .add(
    HttpApiEndpoint.post("makeConsoleLink", "/console/links", {
      success: Schema.Struct({
        path: described("Belongs to the hub's address. Works once.", Schema.String),
        expires_at: Schema.String
      }).annotate({ httpApiStatus: 201 })
    }).annotate(OpenApi.Summary, "Make a link to the console that works once"),
    HttpApiEndpoint.get("session", "/console/session", {
      success: Schema.Struct({
        user: described("The system's name of the user whose hub it is.", Schema.String),
        workspace: described("The hub's folder.", Schema.String)
      })
    }).annotate(OpenApi.Summary, "Tell whose hub it is, to a browser with a session"),
    HttpApiEndpoint.post("signOut", "/console/sessions/end", {
      success: Schema.Struct({ ended: Schema.Boolean })
    }).annotate(OpenApi.Summary, "End the session of this browser")
  )
  .middleware(Validation)
  .middleware(Authorization)
  .middleware(EveryRequest)
  .annotateMerge(OpenApi.annotations({ title: "Console", description }))
  .prefix("/api/v1") {}
