/** The value of a spec's `integrity`. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { LoadError } from "./Errors.ts"
import { hashModules } from "./modules/hashModules.ts"

/**
 * Hashes a plugin's module and every module it reaches by literal names in `import` and `require`, those of
 * its dependencies included; answers `sha256-…`, what a spec's `integrity` is to be so that exactly these
 * modules are run. The same modules give the same value on every machine. Runs nothing of them.
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
    return Effect.flatMap(hashModules(path.resolve(modulePath)), (reply) =>
      "problem" in reply ? Effect.fail(refused(reply.problem)) : Effect.succeed(reply.integrity)
    )
  })
}
