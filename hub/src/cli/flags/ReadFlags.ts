/** Flags of commands that read, with a hub or without one. */
import { Flag } from "effect/cli"
import { serviceFlags } from "./ServiceFlags.ts"

export const readFlags = {
  offline: Flag.Boolean("offline").pipe(
    Flag.withDescription("Read the database itself, even if a hub runs. Default: only if no hub runs"),
    Flag.withDefault(false)
  ),
  database: serviceFlags.database
}
