/** What every isolation level owes its callers, on WebAssembly. */
import { contractOn } from "../support/contract.ts"

contractOn("wasm")
