/** The files that a guest in Node boots from, as a thread or a process. */
import { Effect } from "effect"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { isPattern } from "../paths.ts"
import { type PrepareError, unprepared } from "../PrepareError.ts"
import { packageFile } from "./packageFile.ts"

// Guests boot compiled code (`npm run build:guest`), also if the host runs from its sources: compiling it in each guest
// would take ten times as long as the boot.
export const guestFolder = new URL(
  import.meta.url.endsWith(".ts") ? "../../dist/guest/" : "../guest/",
  import.meta.url
)

/** The first file that a guest runs. */
export const bootFile = (name: "loadThread" | "bootThread" | "bootProcess"): URL =>
  new URL(`node/${name}.cjs`, guestFolder)

/** Files of this library that a guest reads to boot. The plugin's files come from the module loader. */
export const bootReads: ReadonlyArray<string> = [
  fileURLToPath(guestFolder),
  fileURLToPath(new URL("../wire/", guestFolder)),
  packageFile(fileURLToPath(bootFile("bootThread"))) ?? path.dirname(fileURLToPath(guestFolder))
]

const patternRead = bootReads.find(isPattern)

/** Checks that guests can be confined to the boot's files where this library is installed. */
export const checkBootFiles: Effect.Effect<void, PrepareError> =
  patternRead === undefined
    ? Effect.void
    : Effect.fail(
        unprepared(
          `this library is installed at a path with an asterisk (${patternRead}); Node reads it as a pattern, and plugins could read the files beside it`,
          "rename the folder"
        )
      )
