/**
 * Sessions of the web console. A session stands for the hub's token and never contains it.
 *
 * **Details**
 *
 * - A session has two halves: an id in an HttpOnly cookie, and a key that the page keeps. A browser sends cookies to
 *   every port of a host, so another server on this machine may see the cookie. Without the key, it is worth nothing.
 * - Links, ids and keys are kept as SHA-256 digests, in memory only. So all sessions end with the hub.
 */
import { Clock, Context, Deferred, Duration, Effect, Layer } from "effect"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"

/** The two halves of a session. */
export interface Session {
  readonly id: string
  readonly key: string
}

export interface Link {
  readonly code: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** How long a link waits to be opened. */
export const linkLifetime: Duration.Duration = Duration.minutes(5)

/** A session that is not used for so long ends. */
export const idleLifetime: Duration.Duration = Duration.days(7)

/** Links and sessions that exist at the same time. The oldest one makes room. */
const maxLinks = 32
const maxSessions = 128

const secret = (): string => randomBytes(32).toString("base64url")

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Removes expired entries, and the oldest ones above `most`. The map is in the order of expiry. */
const prune = <Entry extends { readonly endsAt: number }>(
  entries: Map<string, Entry>,
  now: number,
  most: number,
  removed: (entry: Entry) => void = () => {}
): void => {
  for (const [name, entry] of entries) {
    if (entry.endsAt > now && entries.size <= most) return
    entries.delete(name)
    removed(entry)
  }
}

/** A session that is open. */
interface Open {
  readonly key: Buffer
  readonly endsAt: number
  readonly over: Deferred.Deferred<void>
}

const finish = ({ over }: Open): void => void Deferred.doneUnsafe(over, Effect.void)

export class Sessions extends Context.Service<
  Sessions,
  {
    /** A new link, for a caller with the hub's token. */
    readonly makeLink: () => Link
    /** Uses up a link's code. `undefined` if the code is unknown, used or expired. */
    readonly open: (code: string) => Session | undefined
    /** True if both halves belong to a session. It then counts as used now. */
    readonly isOpen: (session: Session) => boolean
    /** Ends a session. `false` if there is none. */
    readonly end: (session: Session) => boolean
    /** Completes when the session has ended: it was ended, was not used for too long, or made room for another one. */
    readonly ended: (session: Session) => Effect.Effect<void>
  }
>()("@agentlip/hub/Sessions") {
  static readonly layer: Layer.Layer<Sessions> = Layer.effect(
    Sessions,
    Effect.map(Clock.Clock, (clock) => {
      const links = new Map<string, { readonly endsAt: number }>()
      const sessions = new Map<string, Open>()
      const nameOf = (text: string): string => digest(text).toString("base64url")

      const makeLink = (): Link => {
        const now = clock.currentTimeMillisUnsafe()
        const code = secret()
        const endsAt = now + Duration.toMillis(linkLifetime)
        links.set(nameOf(code), { endsAt })
        prune(links, now, maxLinks)
        return { code, expiresAt: endsAt }
      }

      const keep = (id: string, { key, over }: Pick<Open, "key" | "over">, now: number): void => {
        const name = nameOf(id)
        // Inserted again, so that the map stays in the order of expiry.
        sessions.delete(name)
        sessions.set(name, { key, over, endsAt: now + Duration.toMillis(idleLifetime) })
        prune(sessions, now, maxSessions, finish)
      }

      const open = (code: string): Session | undefined => {
        const now = clock.currentTimeMillisUnsafe()
        prune(links, now, maxLinks)
        if (!links.delete(nameOf(code))) return undefined
        // Always new halves: a cookie that was planted before the sign-in is worth nothing.
        const session = { id: secret(), key: secret() }
        keep(session.id, { key: digest(session.key), over: Deferred.makeUnsafe() }, now)
        return session
      }

      const isOpen = ({ id, key }: Session): boolean => {
        const now = clock.currentTimeMillisUnsafe()
        prune(sessions, now, maxSessions, finish)
        const known = sessions.get(nameOf(id))
        if (known === undefined || !timingSafeEqual(known.key, digest(key))) return false
        keep(id, known, now)
        return true
      }

      const end = (session: Session): boolean => {
        if (!isOpen(session)) return false
        const known = sessions.get(nameOf(session.id))
        if (known !== undefined) finish(known)
        return sessions.delete(nameOf(session.id))
      }

      const ended = ({ id }: Pick<Session, "id">): Effect.Effect<void> =>
        Effect.suspend(() => {
          const known = sessions.get(nameOf(id))
          if (known === undefined) return Effect.void
          const expiry = Effect.sleep(known.endsAt - clock.currentTimeMillisUnsafe()).pipe(
            // It may have been used meanwhile.
            Effect.andThen(
              Effect.sync(() => prune(sessions, clock.currentTimeMillisUnsafe(), maxSessions, finish))
            ),
            Effect.andThen(Effect.suspend(() => ended({ id })))
          )
          return Effect.raceFirst(Deferred.await(known.over), expiry)
        })

      return Sessions.of({ makeLink, open, isOpen, end, ended })
    })
  )
}
