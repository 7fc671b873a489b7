/** Command-line flags of a Node that becomes a guest, thread or process. */
import { bootReads } from "../guestFiles.ts"
import type { BootOptions } from "./IsolateFactory.ts"

/** Node's own permissions: only the boot's files and what was granted. */
export const permissionFlags = ({ read, write, audit }: BootOptions): Array<string> => [
  "--permission",
  ...(audit
    ? ["--allow-fs-read=*", "--allow-fs-write=*"]
    : [
        ...[...bootReads, ...read].map((file) => `--allow-fs-read=${file}`),
        ...write.map((file) => `--allow-fs-write=${file}`)
      ]),
  "--no-addons",
  // A timer holds the number of its asynchronous context, and a plugin can change it. Node's check would then end the
  // whole process; without the check, the plugin confuses only itself.
  "--no-force-async-hooks-checks",
  "--no-warnings",
  "--no-experimental-websocket",
  "--no-experimental-global-navigator"
]
