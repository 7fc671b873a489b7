import workerpool from "workerpool"
import { enrich } from "./task.mjs"

workerpool.worker({ enrich })
