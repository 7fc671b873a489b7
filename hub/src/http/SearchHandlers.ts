/** Connects the search of the HTTP API to the index. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { SqlClient } from "effect/sql"
import { Api } from "@agentlip/protocol"
import { storageIsDefect } from "../database/StorageFailure.ts"
import { indexOf } from "../search/progress.ts"
import { search } from "../search/search.ts"
import { SearchIndexer } from "../search/SearchIndexer.ts"

export const SearchHandlersLive = HttpApiBuilder.group(
  Api,
  "search",
  Effect.fnUntraced(function* (handlers) {
    const sql = yield* SqlClient.SqlClient
    const { catchUp } = yield* SearchIndexer
    // If the index cannot be written, as on a full disk, a search still finds what is in it, and says what is missing.
    const current = Effect.catchTag(catchUp, "SqlError", (error) =>
      Effect.logDebug("the search index is behind", error)
    )
    return handlers.handleAll({
      search: ({ query }) => current.pipe(Effect.andThen(search(sql, query)), storageIsDefect),
      searchIndex: () =>
        indexOf(sql).pipe(
          Effect.map((index) => ({ index })),
          storageIsDefect
        )
    })
  })
)
