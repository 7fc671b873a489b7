/** Parameters that several calls have. */
import { Schema, SchemaTransformation } from "effect"

/** A schema with the description that the OpenAPI document shows. */
export const described = <S extends Schema.Top>(description: string, schema: S) =>
  schema.annotate({ description })

/** Most rows of one page, and most events of one `tail`. */
export const mostRows = 1_000

/** A number of rows, from 1. A larger one than `mostRows` counts as `mostRows`. */
export const rows = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)).pipe(
  Schema.decodeTo(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: mostRows })),
    SchemaTransformation.transform({ decode: (given) => Math.min(given, mostRows), encode: (given) => given })
  )
)

const position = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export const limit = (byDefault: string) =>
  Schema.optional(
    described(`Most rows on the page. More than 1,000 count as 1,000. Default: ${byDefault}.`, rows)
  )

export const allThatFit = "all that fit on a page of about 1 MiB"

export const offset = Schema.optional(described("Rows to skip. Default: 0.", position))

export const afterId = (what: string) =>
  Schema.optional(
    described(`Only ${what} after the one with this id, in the order of the list.`, Schema.String)
  )

export const after = described("Only events after the one with this number.", position)

export const ids = (description: string) =>
  Schema.optional(described(description, Schema.Array(Schema.String)))

export const byId = (what: string) => ({ id: described(`The id of the ${what}.`, Schema.String) })

export const byName = { name: described("The name of the plugin.", Schema.String) }

export const eventNumber = described("The number of the event that tells of the change.", Schema.Int)
export const expectedVersion = Schema.optionalKey(
  described("Change the message only if it has this version; otherwise `VERSION_CONFLICT`.", Schema.Int)
)
