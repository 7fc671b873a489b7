/** Bubblewrap: puts a process into namespaces of the kernel, if bubblewrap is installed and allowed. */
import { Effect } from "effect"
import { type PrepareError, unprepared } from "../../../PrepareError.ts"
import { execFile } from "node:child_process"
import type { BootOptions } from "../IsolateFactory.ts"
import { findExecutable } from "./executables.ts"
import type { ProcessHost } from "./ProcessHost.ts"

/** Folders with the libraries that Node links to. */
const systemFolders = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"]

/** The command in front of Node's own. `reads` are the files that Node boots from. */
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

export const checkBubblewrap = (user: ProcessHost["user"]): Effect.Effect<void, PrepareError> =>
  Effect.callback((resume) => {
    const bwrap = findExecutable("bwrap")
    if (bwrap === undefined) {
      return resume(
        Effect.fail(
          unprepared(
            'sandbox "bubblewrap" needs the program bwrap, which is not installed',
            'install bubblewrap, or use sandbox "auto" or "none"'
          )
        )
      )
    }
    const child = execFile(
      bwrap,
      ["--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"],
      { env: {}, cwd: "/", timeout: 5_000, ...user },
      (error, _stdout, stderr) =>
        resume(
          error === null
            ? Effect.void
            : Effect.fail(
                unprepared(
                  `sandbox "bubblewrap" does not work on this machine (${stderr.trim() || error.message})`,
                  'allow unprivileged user namespaces, or use sandbox "auto" or "none"'
                )
              )
        )
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })
