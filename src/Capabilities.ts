/**
 * What an operator may grant to a plugin. Nothing is granted by default. A grant that would cover `.agentlip/`, the folder
 * of the hub's database and token, is refused.
 *
 * **Gotchas**: a grant of a folder includes everything that links in it lead to. The folder is checked when the grant is
 * made, and not again later.
 */
import { Effect, type Result, Schema } from "effect"
import { type Environment, resolveEnv } from "./capabilities/environment.ts"
import { resolveFile } from "./capabilities/files.ts"
import { checkEnforced, type Host, levelNames, thisHost } from "./capabilities/matrix.ts"
import { type NetGrants, parseNetGrants } from "./capabilities/net.ts"
import { type Grants, grantKinds } from "./Grants.ts"
import { allPrepared, type PrepareError } from "./PrepareError.ts"

/** Isolation levels; see docs/security.md for what each holds against. */
export const IsolationLevel = Schema.Literals(levelNames)
export type IsolationLevel = typeof IsolationLevel.Type

/** Grants that are checked and ready for an isolate. */
export interface ResolvedGrants {
  /** Real paths; those of folders end in a separator. */
  readonly read: ReadonlyArray<string>
  readonly write: ReadonlyArray<string>
  readonly net: NetGrants
  /** Values of the granted variables at that time, without those that were not set. */
  readonly env: { readonly [name: string]: string }
}

interface ResolveOptions {
  readonly level: IsolationLevel
  readonly grants: Grants
  /** Base folder of relative paths. */
  readonly base: string
  /** Default: the host's. */
  readonly environment?: Environment
  readonly host?: Host
}

/** Checks that the isolation level enforces a spec's grants on this host, and resolves them. Reports all problems at once. */
export const resolveGrants = Effect.fnUntraced(function* ({
  level,
  grants,
  base,
  environment = process.env,
  host = thisHost
}: ResolveOptions): Effect.fn.Return<ResolvedGrants, PrepareError> {
  const asked = grantKinds.filter((kind) => (grants[kind] ?? []).length > 0)
  const resolveFiles = (kind: "read" | "write") =>
    Effect.map(
      Effect.forEach(grants[kind] ?? [], (given) => Effect.result(resolveFile(kind, given, base))),
      allPrepared
    )
  const resolved = allPrepared([
    allPrepared(asked.map((kind) => checkEnforced(level, `grants.${kind}`, host))),
    parseNetGrants(grants.net ?? []),
    resolveEnv(grants.env ?? [], environment),
    yield* resolveFiles("read"),
    yield* resolveFiles("write")
  ])
  const [, net, env, read, write] = yield* Effect.fromResult(resolved)
  return { read, write, net, env }
})

/** What a spec can ask of its level, besides grants. */
export interface Requests {
  readonly isolation: IsolationLevel
  readonly enforcement?: "enforce" | "audit"
  readonly sandbox?: "bubblewrap" | "none" | "auto"
  readonly integrity?: string
  readonly limits?: { readonly cpu?: number }
}

/** Checks that the isolation level enforces everything that a spec asks for besides grants. */
export const checkRequests = (
  spec: Requests,
  host: Host = thisHost
): Result.Result<unknown, PrepareError> => {
  const subjects = [
    spec.enforcement === "audit" && ('enforcement "audit"' as const),
    spec.sandbox === "bubblewrap" && ('sandbox "bubblewrap"' as const),
    spec.integrity !== undefined && ("integrity" as const),
    spec.limits?.cpu !== undefined && ("limits.cpu" as const)
  ]
  return allPrepared(
    subjects.flatMap((subject) => (subject === false ? [] : [checkEnforced(spec.isolation, subject, host)]))
  )
}
