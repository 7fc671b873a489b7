/** Command-line flags of a Node that becomes a guest, thread or process. */
import { bootReads } from "../guestFiles.ts"
import type { BootOptions } from "./IsolateFactory.ts"

/** Node's own permissions: nothing but the boot's files and what was granted. */
export const permissionFlags = ({ read, write, audit }: BootOptions): Array<string> => [
  "--permission",
  ...(audit
    ? ["--allow-fs-read=*", "--allow-fs-write=*"]
    : [
        ...[...bootReads, ...read].map((file) => `--allow-fs-read=${file}`),
        ...write.map((file) => `--allow-fs-write=${file}`)
      ]),
  "--no-addons",
  // A timer carries the number of its asynchronous context about. With checks a plugin that writes another there
  // ends the whole process; without, it confuses itself.
  "--no-force-async-hooks-checks",
  "--no-warnings",
  "--no-experimental-websocket",
  "--no-experimental-global-navigator"
]
