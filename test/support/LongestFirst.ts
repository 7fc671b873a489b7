/** The order of the files on a machine that has never run them: one that is long and comes last is waited for alone. */
import * as path from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** What takes twenty seconds and more, the longest first; Vitest itself would go by the size of a file. */
const long = [
  "ZooWasm.test.ts",
  "ZooProcess.test.ts",
  "Zoo.test.ts",
  "ConsolePage.test.ts",
  "ZooControls.test.ts",
  "HostRobustness.test.ts",
  "Main.test.ts",
  "Exit.test.ts",
  "ContractWasm.test.ts",
  "ContractProcess.test.ts",
  "ContractThread.test.ts",
  "ModuleContainment.test.ts",
  "Wasm.test.ts",
  "WarmPath.test.ts",
  "Grants.test.ts",
  "Bun.test.ts",
  "Process.test.ts",
  "PluginRun.test.ts",
  "Reads.test.ts",
  "AuthorErrors.test.ts",
  "Terminal.test.ts",
  "Hubs.test.ts"
]

export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = long.indexOf(path.basename(moduleId))
      return at < 0 ? long.length : at
    }
    return (await super.sort(files)).sort((a, b) => place(a) - place(b))
  }
}
