/** Threads boot compiled code; it must be that of the sources under test. */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

export default (): void => {
  const root = fileURLToPath(new URL("../..", import.meta.url))
  execFileSync("npm", ["run", "--silent", "build:guest"], { cwd: root, stdio: "inherit" })
}
