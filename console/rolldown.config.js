/**
 * Builds the page of the web console into `dist`: one script and one style sheet with a hash in their names, the icon,
 * and `index.html`, which names them. The hub's package takes a copy.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { defineConfig } from "rolldown"

const here = import.meta.dirname
const source = path.join(here, "src")

const hashed = (name, text) => {
  const { name: base, ext } = path.parse(name)
  return `${base}-${createHash("sha256").update(text).digest("base64url").slice(0, 10)}${ext}`
}

/** Removes comments and spaces that mean nothing. No string of the sheets holds any of these signs. */
const smaller = (css) =>
  css
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\s+/g, " ")
    .replace(/ ?([{};,>]) ?/g, "$1")
    .replace(/: /g, ":")
    .replaceAll(";}", "}")
    .trim()

const sheets = () =>
  fs
    .readdirSync(path.join(source, "styles"))
    .sort()
    .map((file) => fs.readFileSync(path.join(source, "styles", file), "utf8"))
    .join("\n")

const page = {
  name: "page",
  generateBundle(_, bundle) {
    const emit = (name, text) => {
      const fileName = hashed(name, text)
      this.emitFile({ type: "asset", fileName, source: text })
      return fileName
    }
    const script = Object.values(bundle).find((file) => file.type === "chunk" && file.isEntry)?.fileName
    const style = emit("console.css", smaller(sheets()))
    const icon = emit("icon.svg", fs.readFileSync(path.join(source, "icon.svg"), "utf8"))
    const text = fs
      .readFileSync(path.join(source, "index.html"), "utf8")
      .replace("{script}", script)
      .replace("{style}", style)
      .replace("{icon}", icon)
    this.emitFile({ type: "asset", fileName: "index.html", source: text })
  }
}

export default defineConfig({
  input: { console: path.join(source, "main.tsx") },
  platform: "browser",
  tsconfig: path.join(here, "tsconfig.json"),
  resolve: { conditionNames: ["@agentlip/source", "import", "browser", "default"] },
  plugins: [page],
  output: {
    dir: path.join(here, "dist"),
    format: "esm",
    minify: true,
    cleanDir: true,
    entryFileNames: "[name]-[hash].js"
  }
})
