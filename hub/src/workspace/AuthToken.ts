/**
 * The hub's bearer token, written only to `server.json`.
 *
 * **Details**: each start makes a new one, except after a crash: then the hub goes on with the token in the
 * `server.json` that stayed behind, so that clients which hold it can go on too. A clean stop removes that file.
 */
import { parseServerFile } from "@agentlip/protocol"
import { Context, Effect, Layer, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { Identity } from "./HubIdentity.ts"
import * as SafeFiles from "./SafeFiles.ts"
import { Workspace } from "./Workspace.ts"

/** At least 128 random bits in hex, as a hub writes it. */
const isToken = (text: string): boolean => /^[0-9a-f]{32,128}$/.test(text)

/**
 * The token of the hub that ran here before and crashed. It counts only if nobody else could have read or written the
 * file, and only for the same database: a copy of another workspace's file does not open this one.
 */
const tokenLeft = (serverFile: string, db_id: string): string | undefined => {
  try {
    const parsed = parseServerFile(SafeFiles.readPrivate(serverFile) ?? "")
    if (!("server" in parsed) || parsed.server.db_id !== db_id) return undefined
    return isToken(parsed.server.auth_token) ? parsed.server.auth_token : undefined
  } catch {
    // The file cannot be read. Announcement.ts says what is wrong with it, if it cannot be replaced.
    return undefined
  }
}

export class AuthToken extends Context.Service<AuthToken, Redacted.Redacted<string>>()(
  "@agentlip/hub/AuthToken"
) {
  /** A new token of 256 random bits, or the one of a hub that crashed. */
  static readonly layer: Layer.Layer<AuthToken, never, Workspace | Identity> = Layer.effect(
    AuthToken,
    Effect.gen(function* () {
      const { serverFile } = yield* Workspace
      const { db_id } = yield* Identity
      const token = tokenLeft(serverFile, db_id) ?? randomBytes(32).toString("hex")
      return Redacted.make(token, { label: "auth_token" })
    })
  )
}
