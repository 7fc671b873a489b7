/** What a plugin was told in confidence, taken out of what it says when it fails. */
import type { ConfiguredSpec } from "@agentlip/plugin-runtime"
import type { Schema } from "effect"

/** Shorter texts are no secrets, and would be found everywhere. */
const shortest = 8

const textsIn = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return value.length >= shortest ? [value] : []
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : []
}

/** As it stands inside a JSON text. */
const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

/**
 * A function that replaces, anywhere in a JSON value, the texts of a spec's config by `[config]` and the values of
 * the variables it is granted by `[env NAME]`.
 */
export const withoutSecrets = (
  { config, grants }: Pick<ConfiguredSpec, "config" | "grants">,
  environment: { readonly [name: string]: string | undefined } = process.env
): ((json: Schema.Json) => Schema.Json) => {
  const secrets = [
    ...textsIn(config).map((text) => [escaped(text), "[config]"] as const),
    ...(grants.env ?? []).flatMap((name) =>
      textsIn(environment[name]).map((text) => [escaped(text), `[env ${escaped(name)}]`] as const)
    )
    // One may be a part of another.
  ].toSorted(([one], [other]) => other.length - one.length)
  return (json) =>
    JSON.parse(
      secrets.reduce((text, [secret, name]) => text.replaceAll(secret, () => name), JSON.stringify(json))
    )
}
