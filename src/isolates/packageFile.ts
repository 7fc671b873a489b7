/** The package.json that a file belongs to. */
import * as nodeModule from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"

/** The nearest package.json, by Node's rules; `undefined` if there is none, or if the runtime cannot tell (Bun). */
export const packageFile = (file: string): string | undefined => {
  const { findPackageJSON }: Partial<typeof nodeModule> = nodeModule
  const found = findPackageJSON?.(pathToFileURL(file))
  // Node returns the file itself if there is none.
  return found !== undefined && path.basename(found) === "package.json" ? found : undefined
}
