/** Where JavaScript does not parse: V8 says so on a terminal alone, not in the error. */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { extname } from "node:path"
import type { Place } from "./PluginProblem.ts"

/** `FILE:LINE`, the line, and `^` below what is wrong. */
const said = /^(.+):(\d+)\r?\n.*\r?\n( *)\^/m

/** Asks Node, which runs nothing of the file; nothing is known of what parses, and of files that it imports. */
export const syntaxPlace = (file: string): Effect.Effect<Place | undefined> =>
  /^\.[mc]?js$/.test(extname(file))
    ? Effect.callback((resume, signal) => {
        execFile(
          process.execPath,
          ["--check", file],
          { env: {}, timeout: 10_000, signal },
          (_error, _out, text) => {
            const [, , line, before] = said.exec(text) ?? []
            resume(
              Effect.succeed(
                line === undefined || before === undefined
                  ? undefined
                  : { file, line: Number(line), column: before.length + 1 }
              )
            )
          }
        )
      })
    : Effect.succeed(undefined)
