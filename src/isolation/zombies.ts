/** How a host ends although one of its threads cannot be ended. */

let registered = false

const end = (code: number): void => {
  // Node would wait for the thread for ever; becoming another program does not. The exit code is kept.
  if (process.platform !== "win32" && typeof process.execve === "function") {
    process.execve("/bin/sh", ["sh", "-c", `exit ${code}`], {})
  }
  process.kill(process.pid, "SIGKILL")
}

/**
 * Lets the host's process exit at once from now on. Listeners for `exit` that were added before still run; those
 * added afterwards do not.
 */
export const exitDespiteZombies = (): void => {
  if (registered) return
  registered = true
  process.once("exit", end)
}
