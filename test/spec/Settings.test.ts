/** A setting is declared once: what documents and editors say of it follows from that. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { document, settings } from "../../scripts/settings.ts"

const textOf = (file: string): string => fs.readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")

describe("Settings", () => {
  it("are what the README's table says; `npm run docs:settings` writes it", () => {
    assert.strictEqual(textOf("README.md"), document)
  })

  it("have the defaults that docs/operations.md names for the config file", () => {
    const rows = Array.from(
      textOf("docs/operations.md").matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm),
      (found) => found
    )
    const named = new Map(
      rows.map(([, name = "", text = ""]) => [name === "memory" ? "limits.memory" : name, text])
    )
    const compared = settings.filter(
      ({ name }) => named.has(name) && !["config", "isolation", "integrity"].includes(name)
    )
    assert.isAtLeast(compared.length, 7)
    for (const { name, default: text } of compared) assert.strictEqual(named.get(name)?.trim(), text, name)
  })

  it.each(settings)("$name: its comment, for editors, says what it means and its default", (setting) => {
    const { name, description, default: text } = setting
    const comments = Array.from(
      textOf("src/spec/settings.ts").matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\n {2}(\w+):/gs),
      (found) => [`${found[2]}: ${found[1]?.replace(/\s+\*?\s*/g, " ").trim()}`]
    ).flat()
    const bare = name.replace(/^.*\./, "")
    const [colon, plain] = [
      `${bare}: ${description}. Default: ${text}.`,
      `${bare}: ${description}. Default ${text}.`
    ]
    assert.isTrue(comments.includes(colon) || comments.includes(plain), plain)
  })
})
