/** Threads boot compiled code, and hubs serve the built console; both must be of the sources under test. */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

export default (): void => {
  const root = fileURLToPath(new URL("../..", import.meta.url))
  for (const build of ["build:guest", "build:console"]) {
    execFileSync("npm", ["run", "--silent", build], { cwd: root, stdio: "inherit" })
  }
}
