/** Responds with 405 if the path exists but does not support the method. */
import { Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi } from "effect/http-api"
import { Api } from "@agentlip/protocol"
import { docsPath } from "./DocsPage.ts"
import { filePath, pagePaths } from "../console/paths.ts"
import { refusal } from "./Failures.ts"

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"] as const

type Path = HttpRouter.PathInput

const isPath = (path: string): path is Path => path.startsWith("/")

/** The supported methods of each path. */
const known = (): ReadonlyMap<Path, ReadonlySet<string>> => {
  const paths = new Map<Path, Set<string>>()
  const add = (method: string, path: Path) => paths.set(path, (paths.get(path) ?? new Set()).add(method))
  add("GET", docsPath)
  add("GET", "/openapi.json")
  add("GET", "/ws")
  for (const path of [...pagePaths, filePath] as const) add("GET", path)
  HttpApi.reflect(Api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint: { method, path } }) => {
      if (isPath(path)) add(method, path)
    }
  })
  return paths
}

/** Responds with 405 and `Allow` on every path of the API. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.addAll(
  [...known()].flatMap(([path, has]) => {
    // The router adds HEAD to every GET.
    const allow = [...has].flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ")
    const answer = refusal("METHOD_NOT_ALLOWED", `This path has ${allow} only`, { headers: { allow } })
    return methods
      .filter((method) => !has.has(method))
      .map((method) => HttpRouter.route(method, path, answer))
  })
)
