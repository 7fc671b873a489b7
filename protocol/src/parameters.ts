/** Parameters that several calls have. */
import { Schema } from "effect"

/** A schema with the description that the OpenAPI document shows. */
export const described = <S extends Schema.Top>(description: string, schema: S) =>
  schema.annotate({ description })

const count = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))
const position = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export const limit = (byDefault: string) =>
  Schema.optional(described(`Most rows on the page, 1 to 1,000. Default: ${byDefault}.`, count))

export const allThatFit = "all that fit on a page of about 1 MiB"

export const offset = Schema.optional(described("Rows to skip. Default: 0.", position))

export const afterId = (what: string) =>
  Schema.optional(described(`Only ${what} after the one with this id.`, Schema.String))

export const after = described("Only events after the one with this number.", position)

export const ids = (description: string) =>
  Schema.optional(described(description, Schema.Array(Schema.String)))

export const byId = (what: string) => ({ id: described(`The id of the ${what}.`, Schema.String) })

export const byName = { name: described("The name of the plugin.", Schema.String) }

export const eventNumber = described("The number of the event that tells of the change.", Schema.Int)
export const expectedVersion = Schema.optionalKey(
  described("Change the message only if it has this version; otherwise `VERSION_CONFLICT`.", Schema.Int)
)
