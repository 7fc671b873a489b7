/** Addresses that plugins found. Only http and https become links. */

const asAddress = (value: unknown): URL | undefined => {
  if (typeof value !== "string" || value.length > 2_048 || !/^https?:\/\//i.test(value)) return undefined
  const url = URL.parse(value)
  // A name and a password before the host are there to deceive.
  return url !== null && url.username === "" && url.password === "" ? url : undefined
}

/** The address in a finding's data. */
export const addressIn = (data: { readonly [name: string]: unknown }): URL | undefined =>
  asAddress(data["url"]) ?? asAddress(data["href"])

/** True if a text looks like an address with another host than the link's, as in phishing. */
export const isMisleading = (text: string, { host }: URL): boolean => {
  const shown = /^\s*(?:https?:\/\/)?([^\s/?#@]+\.[^\s/?#@]+)/i.exec(text)?.[1]
  if (shown === undefined) return false
  const url = URL.parse(`http://${shown}`)
  return url === null || url.host !== host
}
