/**
 * Sessions of the web console. A session stands for the hub's token and never contains it.
 *
 * **Details**
 *
 * - A session has two halves: an id in an HttpOnly cookie, and a key that the page keeps. A browser sends cookies to
 *   every port of a host, so another server on this machine may see the cookie. Without the key, it is worth nothing.
 * - Links, ids and keys are kept as SHA-256 digests, in memory only. So all sessions end with the hub.
 */
import { Clock, Context, Duration, Effect, Layer } from "effect"
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
const prune = (ends: Map<string, { readonly endsAt: number }>, now: number, most: number): void => {
  for (const [name, { endsAt }] of ends) {
    if (endsAt > now && ends.size <= most) return
    ends.delete(name)
  }
}

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
  }
>()("@agentlip/hub/Sessions") {
  static readonly layer: Layer.Layer<Sessions> = Layer.effect(
    Sessions,
    Effect.map(Clock.Clock, (clock) => {
      const links = new Map<string, { readonly endsAt: number }>()
      const sessions = new Map<string, { readonly endsAt: number; readonly key: Buffer }>()
      const nameOf = (text: string): string => digest(text).toString("base64url")

      const makeLink = (): Link => {
        const now = clock.currentTimeMillisUnsafe()
        const code = secret()
        const endsAt = now + Duration.toMillis(linkLifetime)
        links.set(nameOf(code), { endsAt })
        prune(links, now, maxLinks)
        return { code, expiresAt: endsAt }
      }

      const keep = (id: string, key: Buffer, now: number): void => {
        const name = nameOf(id)
        // Inserted again, so that the map stays in the order of expiry.
        sessions.delete(name)
        sessions.set(name, { key, endsAt: now + Duration.toMillis(idleLifetime) })
        prune(sessions, now, maxSessions)
      }

      const open = (code: string): Session | undefined => {
        const now = clock.currentTimeMillisUnsafe()
        prune(links, now, maxLinks)
        if (!links.delete(nameOf(code))) return undefined
        // Always new halves: a cookie that was planted before the sign-in is worth nothing.
        const session = { id: secret(), key: secret() }
        keep(session.id, digest(session.key), now)
        return session
      }

      const isOpen = ({ id, key }: Session): boolean => {
        const now = clock.currentTimeMillisUnsafe()
        prune(sessions, now, maxSessions)
        const known = sessions.get(nameOf(id))
        if (known === undefined || !timingSafeEqual(known.key, digest(key))) return false
        keep(id, known.key, now)
        return true
      }

      const end = (session: Session): boolean => isOpen(session) && sessions.delete(nameOf(session.id))

      return Sessions.of({ makeLink, open, isOpen, end })
    })
  )
}
