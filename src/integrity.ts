/** The value of a spec's `integrity`. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { LoadError } from "./Errors.ts"
import { hashModules } from "./modules/hashModules.ts"

/**
 * Hashes a plugin's module and every module that it reaches by literal names in `import` and `require`, dependencies
 * included. Returns `sha256-…`: with this as its `integrity`, a spec runs exactly these modules. The same modules have the
 * same hash on every machine. Runs none of them.
 *
 * @example
 * ```ts
 * const integrity = yield* moduleIntegrity("/srv/plugins/urls.ts")
 * const urls = makeSpec({ name: "urls", kind: linkifier, modulePath: "/srv/plugins/urls.ts", integrity })
 * ```
 */
export const moduleIntegrity = (modulePath: string): Effect.Effect<string, LoadError> => {
  const refused = (reason: string): LoadError =>
    new LoadError({ plugin: path.basename(modulePath), modulePath, reason })
  return Effect.suspend(() => {
    if (!fs.existsSync(modulePath)) {
      return Effect.fail(refused("there is no such file; correct the modulePath"))
    }
    return Effect.mapBoth(hashModules(path.resolve(modulePath)), {
      onFailure: ({ message }) => refused(message),
      onSuccess: ({ integrity }) => integrity
    })
  })
}
