/** The paths of the console. The page shows all of its views, so each of them is the same page. */

/** Paths that return the page. The last one includes `/ui`. */
export const pagePaths = ["/", "/open", "/ui/*"] as const

/** The folder of the page's files; their names contain a hash. */
export const filePath = "/console/:file"

const pathOf = (url: string): string => url.replace(/[?#].*$/s, "")

/** True for the page. It holds no data: the page asks for data with its session. */
export const isPage = (url: string): boolean => /^\/(?:|open|ui|ui\/.*)$/s.test(pathOf(url))

/** True for what a browser without a session needs to get one. */
export const isOpenToAll = (url: string): boolean =>
  isPage(url) || /^\/console\/[^/]*$/.test(pathOf(url)) || pathOf(url) === "/api/v1/console/sessions"
