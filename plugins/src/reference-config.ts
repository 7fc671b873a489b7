/** The options of the reference linkifier. */
import { configSchema } from "./config.ts"

export interface ReferenceConfig {
  /** The address of the repositories, without a slash at the end. */
  readonly baseUrl: string
  /** `owner/name`: the repository of references that do not name one. */
  readonly repository: string | undefined
}

export const ownerPattern = "[A-Za-z0-9](?:[A-Za-z0-9\\-]{0,38})"
export const namePattern = "(?!\\.{1,2}(?![\\w.\\-]))[\\w.\\-]{1,100}"

const repositoryText = new RegExp(`^${ownerPattern}/${namePattern}$`)
const maxBaseUrlLength = 512

const readBaseUrl = (value: unknown): { readonly url: string } | { readonly problem: string } => {
  const expected = `expected an http(s) URL such as "https://github.com"`
  if (typeof value !== "string")
    return { problem: `${expected}, got ${value === null ? "null" : typeof value}` }
  const url = URL.parse(value)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return { problem: `${expected}, got ${JSON.stringify(value.slice(0, 100))}` }
  }
  if (url.username !== "" || url.password !== "") {
    return { problem: "expected a URL without credentials: it becomes part of every link" }
  }
  if (url.search !== "" || url.hash !== "") {
    return { problem: "expected a URL without query and fragment: the repository is appended to it" }
  }
  if (url.href.length > maxBaseUrlLength)
    return { problem: `expected at most ${maxBaseUrlLength} characters` }
  return { url: url.href.endsWith("/") ? url.href.slice(0, -1) : url.href }
}

export const referenceConfig = configSchema<ReferenceConfig>(["baseUrl", "repository"], (options, report) => {
  const { baseUrl = "https://github.com", repository } = options
  const base = readBaseUrl(baseUrl)
  if ("problem" in base) report("baseUrl", base.problem)
  const isRepository = typeof repository === "string" && repositoryText.test(repository)
  if (repository !== undefined && !isRepository) {
    report("repository", 'expected "owner/name", such as "nodejs/node"')
  }
  return { baseUrl: "url" in base ? base.url : "", repository: isRepository ? repository : undefined }
})
