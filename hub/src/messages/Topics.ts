/** Channels and the topics in them. */
import { Context, Effect, Layer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { type Channel, InvalidInput, NotFound, notFound, type Topic } from "@agentlip/protocol"
import { EventLog } from "../core/EventLog.ts"
import { Ids } from "../core/Ids.ts"
import * as Dialect from "../database/Dialect.ts"
import { Pages } from "../database/Pages.ts"
import { timestamp } from "../timestamp.ts"

type Refused = InvalidInput | NotFound | SqlError.SqlError

export class Topics extends Context.Service<
  Topics,
  {
    /** By name, starting after the channel `after_id`. */
    readonly channels: (page: {
      readonly limit?: number | undefined
      readonly after_id?: string | undefined
    }) => Effect.Effect<
      { readonly channels: ReadonlyArray<Channel>; readonly has_more: boolean },
      InvalidInput | SqlError.SqlError
    >
    readonly createChannel: (
      name: string,
      description: string | undefined
    ) => Effect.Effect<{ readonly channel: Channel; readonly event_id: number }, Refused>
    /** Latest activity first. */
    readonly list: (
      channelId: string,
      page: { readonly limit: number; readonly offset: number }
    ) => Effect.Effect<{ readonly topics: ReadonlyArray<Topic>; readonly has_more: boolean }, Refused>
    readonly create: (
      channelId: string,
      title: string
    ) => Effect.Effect<{ readonly topic: Topic; readonly event_id: number }, Refused>
    readonly rename: (
      id: string,
      title: string
    ) => Effect.Effect<{ readonly topic: Topic; readonly event_id: number }, Refused>
    readonly get: (id: string) => Effect.Effect<Topic, NotFound | SqlError.SqlError>
    /** Records activity in topics. Returns the channels of those that exist, by the topic's id. */
    readonly touch: (
      topicIds: ReadonlyArray<string>,
      at: string
    ) => Effect.Effect<ReadonlyMap<string, string>, SqlError.SqlError>
  }
>()("@agentlip/hub/Topics") {
  static readonly layer: Layer.Layer<Topics, never, SqlClient.SqlClient | EventLog | Ids> = Layer.effect(
    Topics,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const events = yield* EventLog
      const ids = yield* Ids
      const pages = yield* Pages
      const givenIds = Dialect.given(sql, { id: "text" })
      /** The same order on both databases: by code point. */
      const name = sql.literal(sql.onDialectOrElse({ pg: () => 'name COLLATE "C"', orElse: () => "name" }))

      const unlessTaken =
        (what: string) =>
        <A>(self: Effect.Effect<A, Refused>): Effect.Effect<A, Refused> =>
          Effect.catchTag(
            self,
            "SqlError",
            (error): Effect.Effect<never, Refused> =>
              error.reason._tag === "UniqueViolation"
                ? Effect.fail(new InvalidInput({ error: `There is ${what} already` }))
                : Effect.fail(error)
          )

      const get = Effect.fnUntraced(function* (id: string) {
        const [topic] = yield* sql<Topic>`SELECT * FROM topics WHERE id = ${id}`
        return topic === undefined ? yield* notFound("topic", id) : topic
      })

      const touch = (topicIds: ReadonlyArray<string>, at: string) =>
        Effect.map(
          sql<Pick<Topic, "id" | "channel_id">>`
            UPDATE topics SET updated_at = ${at}
            WHERE id IN (SELECT id FROM ${givenIds([...new Set(topicIds)].map((id) => ({ id })))})
            RETURNING id, channel_id`,
          (rows) => new Map(rows.map(({ id, channel_id }) => [id, channel_id]))
        )

      const requireChannel = Effect.fnUntraced(function* (id: string) {
        const found = yield* sql`SELECT 1 FROM channels WHERE id = ${id}`
        if (found.length === 0) return yield* notFound("channel", id)
      })

      const createChannel = Effect.fnUntraced(
        function* (name: string, description: string | undefined) {
          const now = yield* timestamp
          const channel: Channel = {
            id: yield* ids.next,
            name,
            description: description ?? null,
            created_at: now
          }
          yield* sql`INSERT INTO channels ${sql.insert(channel)}`
          const event_id = yield* events.append(
            {
              name: "channel.created",
              scope: { channel_id: channel.id },
              entity: { type: "channel", id: channel.id },
              data: { channel }
            },
            now
          )
          return { channel, event_id }
        },
        sql.withTransaction,
        unlessTaken("a channel of that name")
      )

      const create = Effect.fnUntraced(
        function* (channel_id: string, title: string) {
          yield* requireChannel(channel_id)
          const now = yield* timestamp
          const topic: Topic = { id: yield* ids.next, channel_id, title, created_at: now, updated_at: now }
          yield* sql`INSERT INTO topics ${sql.insert(topic)}`
          const event_id = yield* events.append(
            {
              name: "topic.created",
              scope: { channel_id, topic_id: topic.id },
              entity: { type: "topic", id: topic.id },
              data: { topic }
            },
            now
          )
          return { topic, event_id }
        },
        sql.withTransaction,
        unlessTaken("a topic of that title in the channel")
      )

      const rename = Effect.fnUntraced(
        function* (id: string, title: string) {
          const before = yield* get(id)
          const now = yield* timestamp
          const topic: Topic = { ...before, title, updated_at: now }
          yield* sql`UPDATE topics SET title = ${title}, updated_at = ${topic.updated_at} WHERE id = ${id}`
          const event_id = yield* events.append(
            {
              name: "topic.renamed",
              scope: { channel_id: topic.channel_id, topic_id: id },
              entity: { type: "topic", id },
              data: { topic_id: id, old_title: before.title, new_title: title }
            },
            now
          )
          return { topic, event_id }
        },
        sql.withTransaction,
        unlessTaken("a topic of that title in the channel")
      )

      const list = Effect.fnUntraced(function* (
        channelId: string,
        { limit, offset }: { readonly limit: number; readonly offset: number }
      ) {
        yield* requireChannel(channelId)
        const { rows, has_more } = yield* pages.page<Topic, SqlError.SqlError, never>({
          limit,
          atOnce: true,
          read: (count) => sql`
            SELECT * FROM topics WHERE channel_id = ${channelId}
            ORDER BY updated_at DESC, id DESC LIMIT ${count} OFFSET ${offset}`
        })
        return { topics: rows, has_more }
      })

      const channels = Effect.fnUntraced(function* ({
        limit,
        after_id
      }: {
        readonly limit?: number | undefined
        readonly after_id?: string | undefined
      }) {
        const [start] =
          after_id === undefined
            ? [{ name: "" }]
            : yield* sql<{ name: string }>`SELECT name FROM channels WHERE id = ${after_id}`
        if (start === undefined)
          return yield* new InvalidInput({ error: "after_id: there is no such channel" })
        const { rows, has_more } = yield* pages.page<Channel, SqlError.SqlError, never>({
          limit,
          read: (count, last) => sql`
            SELECT * FROM channels WHERE ${name} > ${last?.name ?? start.name} ORDER BY ${name} LIMIT ${count}`
        })
        return { channels: rows, has_more }
      })

      return Topics.of({
        channels,
        createChannel,
        create,
        rename,
        list,
        get,
        touch
      })
    })
  ).pipe(Layer.provide(Pages.layer))
}
