/** What an operator may grant to a plugin, and what a plugin may ask for. */
import { Schema } from "effect"

/** Folders and files a plugin may read or write, hosts it may reach, environment variables it may see. */
export const Grants = Schema.Struct({
  read: Schema.optionalKey(Schema.Array(Schema.String)),
  write: Schema.optionalKey(Schema.Array(Schema.String)),
  net: Schema.optionalKey(Schema.Array(Schema.String)),
  env: Schema.optionalKey(Schema.Array(Schema.String))
})
export type Grants = typeof Grants.Type

export const grantKinds = ["read", "write", "net", "env"] as const
