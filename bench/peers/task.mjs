// The same code as bench/plugins/spans.ts runs, for the pools that are measured beside it.
import { links } from "../plugins/links.mjs"

export const enrich = ({ message }) => links(message.content_raw)

export default enrich
