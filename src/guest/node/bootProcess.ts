/** The entry point of an isolate's process. */
import { processLine } from "./processLine.ts"
import { rehearse } from "./rehearse.ts"
import { start } from "./start.ts"

start(processLine(), { confined: true, ownProcess: true })
rehearse()
