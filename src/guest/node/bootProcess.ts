/** The first code in a process of the runtime. */
import { processLine } from "./processLine.ts"
import { rehearse } from "./rehearse.ts"
import { start } from "./start.ts"

start(processLine(), true)
rehearse()
