/**
 * Builds what `npm i @agentlip/hub` installs: the hub and the command line as a few files, so that a command starts in
 * milliseconds, with everything in them but QuickJS and the TypeScript compiler.
 *
 *   dist/agentlip.js    the command line
 *   dist/chunk-*.js     what it loads when needed: a command, the hub, the drivers of PostgreSQL and Redis
 *   dist/checkpointThread.js    a thread of the hub
 *   dist/runtime/       code of the library that runs elsewhere: threads of the host, and guests
 *   dist/plugins/       the shipped plugins
 *   dist/console/       the page of the web console
 *
 * Needs the library, the plugins and the console to be built: it takes guests, threads, plugins and the page from their
 * `dist`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { defineConfig } from "rolldown"

const root = path.resolve(import.meta.dirname, "..")
const dist = path.join(import.meta.dirname, "dist")
const library = path.join(root, "src") + path.sep

/** Installed beside the hub: QuickJS because guests are granted its files by path, the compiler because it is large. */
const external = [
  // Not node:http, see httpWithoutGetters.
  /^node:(?!http$)/,
  /^bun:/,
  /^amaro$/,
  /^quickjs-emscripten-core/,
  /^@jitl\//,
  /^bufferutil$/,
  /^utf-8-validate$/,
  /^pg-native$/
]

const moduleUrl = "\0agentlip:moduleUrl"

/**
 * Code of the library finds its threads and guests by its own URL. In the bundle that URL would be the bundle's: a module
 * `src/a/b.ts` is told that it is `dist/runtime/a/b.js`, where `runtime` below puts those files.
 */
const ownUrls = {
  name: "own-urls",
  resolveId: (id) => (id === moduleUrl ? id : undefined),
  load: (id) =>
    id === moduleUrl
      ? 'const runtime = new URL("./runtime/", import.meta.url)\nexport const moduleUrl = (file) => new URL(file, runtime).href\n'
      : undefined,
  transform: (code, id) => {
    if (!id.startsWith(library) || !code.includes("import.meta.url")) return undefined
    const file = path.relative(library, id).replaceAll(path.sep, "/").replace(/\.ts$/, ".js")
    const own = `moduleUrl(${JSON.stringify(file)})`
    return `import { moduleUrl } from ${JSON.stringify(moduleUrl)}\n${code.replaceAll("import.meta.url", own)}`
  }
}

/** Files that the library starts threads with, as modules of `src` name them. */
const threads = fs
  .readdirSync(library, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) =>
    [...fs.readFileSync(path.join(library, file), "utf8").matchAll(/new URL\(\s*`\.\/(\w+)\.\$\{/g)].map(
      ([, name]) => path.join(path.dirname(file), `${name}.js`)
    )
  )
  .filter((file) => file !== "author.js")

const options = {
  platform: "node",
  external,
  resolve: { conditionNames: ["@agentlip/source", "import", "node", "default"] }
}
const chunk = (input, file) => ({
  ...options,
  input,
  output: { file: path.join(dist, file), format: "esm", codeSplitting: false }
})

const lazyHttp = "\0agentlip:http"

/**
 * An import of `node:http` reads all of its exports. Some of them, such as `WebSocket`, are getters that load Undici:
 * 10 MB and 20 ms. This module takes only the others.
 */
const httpWithoutGetters = {
  name: "http-without-getters",
  resolveId: {
    filter: { id: /^(?:node:)?http$/ },
    handler: (_, importer, { kind }) =>
      kind === "import-statement" && importer !== lazyHttp ? lazyHttp : undefined
  },
  load: (id) => {
    if (id !== lazyHttp) return undefined
    const names = Object.entries(Object.getOwnPropertyDescriptors(process.getBuiltinModule("node:http")))
      .filter(([name, { get }]) => get === undefined && name !== "default")
      .map(([name]) => name)
    return [
      'const http = process.getBuiltinModule("node:http")',
      "export default http",
      `export const { ${names.join(", ")} } = http`
    ].join("\n")
  }
}

/**
 * V8 keeps the source of what it runs: two bytes a character for the whole file if one is not Latin-1. Comments are
 * gone here, so such characters are in string, template and regular expression literals, where escapes mean the same.
 */
const asciiOnly = {
  name: "ascii-only",
  renderChunk: (code) =>
    code.replace(/[^\0-\x7f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

/** Keeps names, so that stack traces can be read, and the licences of what is bundled. */
const small = {
  comments: { legal: true, annotation: false, jsdoc: false },
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } }
}

/** What is not bundled, because its text is what counts. */
const copies = {
  name: "copies",
  buildStart: () => {
    fs.rmSync(dist, { recursive: true, force: true })
    for (const folder of ["guest", "wire"]) {
      fs.cpSync(path.join(root, "dist", folder), path.join(dist, "runtime", folder), {
        recursive: true,
        filter: (file) => fs.statSync(file).isDirectory() || /\.c?js$/.test(file)
      })
    }
    fs.cpSync(path.join(root, "dist", "author.js"), path.join(dist, "runtime", "author.js"))
    fs.cpSync(path.join(root, "plugins", "dist"), path.join(dist, "plugins"), { recursive: true })
    fs.cpSync(path.join(root, "console", "dist"), path.join(dist, "console"), { recursive: true })
    const manifest = JSON.stringify({ type: "module" })
    for (const folder of ["runtime", "plugins"]) {
      fs.writeFileSync(path.join(dist, folder, "package.json"), `${manifest}\n`)
    }
  }
}

export default defineConfig([
  {
    ...options,
    input: { agentlip: path.join(import.meta.dirname, "src", "main.ts") },
    plugins: [copies, ownUrls, httpWithoutGetters, asciiOnly],
    output: { dir: dist, format: "esm", chunkFileNames: "chunk-[name].js", ...small }
  },
  {
    ...options,
    input: Object.fromEntries(
      threads.map((file) => [
        file.replaceAll(path.sep, "/").replace(/\.js$/, ""),
        path.join(root, "dist", file)
      ])
    ),
    output: { dir: path.join(dist, "runtime"), format: "esm", chunkFileNames: "chunks/[name].js" }
  },
  chunk(path.join(import.meta.dirname, "src", "cli", "commands", "doctor", "probe.ts"), "probe.js"),
  chunk(path.join(import.meta.dirname, "src", "database", "checkpointThread.ts"), "checkpointThread.js")
])
