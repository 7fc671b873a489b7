/** The order of the files on a machine that has never run them: one that is long and comes last is waited for alone. */
import * as path from "node:path"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** What takes half a minute and more, the longest first; Vitest itself would go by the size of a file. */
const long = [
  "Zoo.test.ts",
  "ZooWasm.test.ts",
  "ZooProcess.test.ts",
  "ZooControls.test.ts",
  "ContractProcess.test.ts",
  "Grants.test.ts",
  "Exit.test.ts",
  "ContractWasm.test.ts",
  "HostRobustness.test.ts",
  "ContractThread.test.ts",
  "Wasm.test.ts",
  "Main.test.ts"
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
