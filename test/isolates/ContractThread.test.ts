/** What every isolation level owes its callers, on threads. */
import { contractOn } from "../support/contract.ts"

contractOn("thread")
