/** Bubblewrap: namespaces of the kernel around a process, where it is installed and allowed. */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import type { BootOptions } from "../IsolateFactory.ts"
import { findExecutable } from "./executables.ts"
import type { ProcessHost } from "./ProcessHost.ts"

/** Where a system keeps what Node links to. */
const systemFolders = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"]

/** The command in front of Node's own; `reads` are the files Node boots from. */
export const bubblewrapArguments = (
  reads: ReadonlyArray<string>,
  bootOptions: BootOptions
): Array<string> => [
  findExecutable("bwrap") ?? "bwrap",
  "--unshare-all",
  "--die-with-parent",
  "--new-session",
  "--cap-drop",
  "ALL",
  ...systemFolders.flatMap((folder) => ["--ro-bind-try", folder, folder]),
  "--proc",
  "/proc",
  "--dev",
  "/dev",
  ...[...reads, ...bootOptions.read].flatMap((file) => ["--ro-bind", file, file]),
  ...bootOptions.write.flatMap((file) => ["--bind", file, file]),
  "--chdir",
  "/"
]

/** Why bubblewrap cannot be used here, with the remedy; `undefined` if it can. */
export const bubblewrapProblem = (user: ProcessHost["user"]): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const bwrap = findExecutable("bwrap")
    if (bwrap === undefined) {
      return resume(
        Effect.succeed(
          'sandbox "bubblewrap" needs the program bwrap, which is not installed; install bubblewrap, or use sandbox "auto" or "none"'
        )
      )
    }
    const child = execFile(
      bwrap,
      ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"],
      { env: {}, cwd: "/", timeout: 5_000, ...user },
      (error, _stdout, stderr) =>
        resume(
          Effect.succeed(
            error === null
              ? undefined
              : `sandbox "bubblewrap" does not work on this machine (${stderr.trim() || error.message}); allow unprivileged user namespaces, or use sandbox "auto" or "none"`
          )
        )
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })
