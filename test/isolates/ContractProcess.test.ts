/** What every isolation level owes its callers, on processes. */
import { contractOn } from "../support/contract.ts"

contractOn("process")
