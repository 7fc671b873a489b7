/**
 * The layers of this repository: which files belong to each, and which layers each may import, types included. The rules
 * in `.oxlintrc.json` and the table in docs/architecture.md are written from this list.
 *
 *   npm run generate:layers
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export interface Layer {
  readonly name: string
  /** Files, and folders with all that is in them. */
  readonly paths: ReadonlyArray<string>
  /** Names of layers. */
  readonly mayImport: ReadonlyArray<string>
  /** Packages and built-ins that it must not import. */
  readonly mustNotImport?: ReadonlyArray<string>
  readonly holds: string
}

const noEffect = ["effect", "effect/*"]
const contract = ["ground", "contract"]
const hubServices = [
  "hub ground",
  "hub workspace",
  "hub database",
  "hub core",
  "hub plugins",
  "hub findings",
  "hub jobs",
  "hub retention",
  "hub messages",
  "hub search"
]

/** From the bottom up: a layer imports only layers before it. */
export const layers: ReadonlyArray<Layer> = [
  {
    name: "ground",
    paths: [
      "src/Errors.ts",
      "src/ConfigError.ts",
      "src/PrepareError.ts",
      "src/Grants.ts",
      "src/author.ts",
      "src/text.ts",
      "src/jsonSize.ts",
      "src/paths.ts",
      "src/exits.ts",
      "src/Fork.ts",
      "src/getOrMake.ts",
      "src/fileStates.ts",
      "src/codeFrame.ts"
    ],
    mayImport: [],
    holds: "errors, grants as they are written, the entry of plugin authors, texts, paths"
  },
  {
    name: "contract",
    paths: [
      "src/Capabilities.ts",
      "src/capabilities",
      "src/Plugin.ts",
      "src/PluginKinds.ts",
      "src/RunObserver.ts",
      "src/spec"
    ],
    mayImport: ["ground"],
    holds: "kinds, specs and their defaults, grants, observers of runs"
  },
  {
    name: "wire",
    paths: ["src/wire"],
    mayImport: [],
    mustNotImport: [...noEffect, "node:*"],
    holds: "messages and codec between host and guest, module and fetch protocols"
  },
  {
    name: "guest",
    paths: ["src/guest/shared"],
    mayImport: ["wire"],
    mustNotImport: [...noEffect, "amaro", "node:*"],
    holds: "guest code for every level: serves a plugin, describes errors, writes outputs"
  },
  {
    name: "guest fetch",
    paths: ["src/guest/fetch"],
    mayImport: ["wire", "guest"],
    mustNotImport: [...noEffect, "amaro", "node:*"],
    holds: "`fetch` of plugins"
  },
  {
    name: "guest in Node",
    paths: ["src/guest/node"],
    mayImport: ["wire", "guest", "guest fetch"],
    mustNotImport: [...noEffect, "amaro"],
    holds: "boot, hardening and module hooks of threads and processes"
  },
  {
    name: "guest in QuickJS",
    paths: ["src/guest/quickjs"],
    mayImport: ["wire", "guest", "guest fetch", "guest in Node"],
    mustNotImport: [...noEffect, "amaro"],
    holds: "the QuickJS engine and what plugins find in it"
  },
  {
    name: "modules",
    paths: ["src/modules", "src/cache/Lru.ts"],
    mayImport: [...contract, "wire", "guest in Node"],
    holds: "loading plugin code: policy, graph, hashes, last good version, TypeScript"
  },
  {
    name: "net",
    paths: ["src/net"],
    mayImport: [...contract, "wire"],
    holds: "the network broker"
  },
  {
    name: "breaker",
    paths: ["src/CircuitBreaker.ts", "src/breaker"],
    mayImport: contract,
    holds: "the circuit breaker and its stores"
  },
  {
    name: "services",
    paths: [
      "src/Staleness.ts",
      "src/staleness",
      "src/Config.ts",
      "src/config",
      "src/Input.ts",
      "src/Output.ts",
      "src/output",
      "src/ResultCache.ts",
      "src/cache",
      "src/integrity.ts",
      "src/watchConfig.ts",
      "src/watchFiles.ts",
      "src/watchModule.ts"
    ],
    mayImport: [...contract, "wire", "modules"],
    holds: "config files and what watches files, inputs and outputs, result cache, staleness guard"
  },
  {
    name: "metrics",
    paths: ["src/Metrics.ts", "src/telemetry"],
    mayImport: [...contract, "breaker"],
    holds: "metrics and tracing"
  },
  {
    name: "isolates",
    paths: [
      "src/isolates/Workers.ts",
      "src/isolates/ResolvedPlugin.ts",
      "src/isolates/Audits.ts",
      "src/isolates/fakes.ts",
      "src/isolates/guestFiles.ts",
      "src/isolates/packageFile.ts"
    ],
    mayImport: [...contract, "wire", "net", "metrics"],
    holds: "what the other folders of isolates/ share, and fakes"
  },
  {
    name: "isolate",
    paths: ["src/isolates/isolate"],
    mayImport: [...contract, "wire", "modules", "net", "isolates"],
    holds: "the host's end of one isolate: requests, replies, side messages, loading"
  },
  {
    name: "watch",
    paths: ["src/isolates/watch"],
    mayImport: [...contract, "isolate"],
    holds: "memory, processor time, pauses of the host"
  },
  {
    name: "levels",
    paths: ["src/isolates/levels"],
    mayImport: [
      ...contract,
      "wire",
      "guest in Node",
      "guest in QuickJS",
      "modules",
      "isolates",
      "isolate",
      "watch"
    ],
    holds: "how thread, process and wasm isolates boot, talk and die"
  },
  {
    name: "pool",
    paths: ["src/isolates/pool"],
    mayImport: [...contract, "wire", "modules", "net", "metrics", "isolates", "isolate", "watch", "levels"],
    holds: "a plugin's queue and isolates: growth, deadlines, retirement, retry of runs that never started"
  },
  {
    name: "worker layer",
    paths: ["src/WorkerLayer.ts"],
    mayImport: [...contract, "modules", "metrics", "isolates", "isolate", "watch", "levels", "pool"],
    holds: "the service through which every run reaches an isolate"
  },
  {
    name: "runtime",
    paths: ["src/Run.ts", "src/Runtime.ts", "src/kindOf.ts"],
    mayImport: [...contract, "wire", "breaker", "services", "metrics", "worker layer"],
    holds: "`run`, `tryRun`, `runAll`, `load`: encode, cache, breaker, submit, decode, settle"
  },
  {
    name: "entries",
    paths: ["src/index.ts", "src/promise.ts", "src/promise", "src/testing.ts", "src/testRun.ts"],
    mayImport: [...contract, "wire", "guest", "breaker", "services", "metrics", "worker layer", "runtime"],
    holds: "the package's entry points"
  },
  {
    name: "protocol",
    paths: ["protocol/src"],
    mayImport: [],
    mustNotImport: ["@agentlip/*", "node:*", "@effect/*"],
    holds: "the hub's wire contract"
  },
  {
    name: "client",
    paths: ["client/src"],
    mayImport: [],
    mustNotImport: ["node:*"],
    holds: "the client SDK for every runtime; it takes types only from the protocol and Effect"
  },
  {
    name: "client in Node",
    paths: ["client/src/Node.ts", "client/src/node"],
    mayImport: ["client"],
    holds: "finds a workspace's hub, or starts it"
  },
  {
    name: "client as Effects",
    paths: ["client/src/Effect.ts"],
    mayImport: ["client"],
    mustNotImport: ["node:*"],
    holds: "the client as Effects and Streams"
  },
  {
    name: "plugins",
    paths: ["plugins/src"],
    mayImport: [],
    mustNotImport: [...noEffect, "@agentlip/plugin-runtime"],
    holds: "the shipped plugins; they use the author's entry only"
  },
  {
    name: "hub ground",
    paths: ["hub/src/timestamp.ts"],
    mayImport: [],
    holds: "timestamps"
  },
  {
    name: "hub workspace",
    paths: ["hub/src/workspace"],
    mayImport: ["hub ground"],
    holds: "the `.agentlip/` folder: lock, token, files"
  },
  {
    name: "hub database",
    paths: ["hub/src/database"],
    mayImport: ["hub ground", "hub workspace"],
    holds: "SQLite and PostgreSQL, migrations, hubs that share a database"
  },
  {
    name: "hub core",
    paths: ["hub/src/core"],
    mayImport: ["hub ground", "hub database"],
    holds: "what the services of the hub share: events, ids, limits"
  },
  {
    name: "hub plugins",
    paths: ["hub/src/plugins"],
    mayImport: ["hub ground", "hub workspace", "hub core"],
    holds: "the configured plugins: loading, reload, circuits, events"
  },
  {
    name: "hub findings",
    paths: ["hub/src/jobs/findings"],
    mayImport: ["hub ground", "hub database", "hub core"],
    holds: "the tables of enrichments and attachments"
  },
  {
    name: "hub jobs",
    paths: ["hub/src/jobs"],
    mayImport: ["hub ground", "hub database", "hub core", "hub plugins", "hub findings"],
    holds: "jobs from claim to commit"
  },
  {
    name: "hub retention",
    paths: ["hub/src/retention"],
    mayImport: ["hub ground", "hub workspace", "hub database", "hub core", "hub jobs"],
    holds: "removal of old events and jobs, and of the text of erased messages"
  },
  {
    name: "hub messages",
    paths: ["hub/src/messages"],
    mayImport: ["hub ground", "hub database", "hub core", "hub jobs", "hub retention"],
    holds: "channels, topics, messages and their findings"
  },
  {
    name: "hub search",
    paths: ["hub/src/search"],
    mayImport: ["hub ground", "hub database", "hub core"],
    holds: "the search index and how it is read"
  },
  {
    name: "hub telemetry",
    paths: ["hub/src/telemetry"],
    mayImport: ["hub ground"],
    holds: "metrics and traces of the hub"
  },
  {
    name: "hub console",
    paths: ["hub/src/console"],
    mayImport: ["hub workspace"],
    holds: "serves the web console"
  },
  {
    name: "hub http",
    paths: ["hub/src/http"],
    mayImport: [...hubServices, "hub telemetry", "hub console"],
    holds: "routes, WebSocket, authentication"
  },
  {
    name: "hub",
    paths: ["hub/src/Hub.ts"],
    mayImport: [...hubServices, "hub http"],
    holds: "the hub as one Layer"
  },
  {
    name: "cli parts",
    paths: [
      "hub/src/cli/CommandError.ts",
      "hub/src/cli/Stop.ts",
      "hub/src/cli/calledAs.ts",
      "hub/src/cli/version.ts",
      "hub/src/cli/flags",
      "hub/src/cli/hub",
      "hub/src/cli/plugins",
      "hub/src/cli/prune",
      "hub/src/cli/render",
      "hub/src/cli/up"
    ],
    mayImport: [
      "hub workspace",
      "hub database",
      "hub core",
      "hub plugins",
      "hub jobs",
      "hub retention",
      "hub messages",
      "hub search"
    ],
    holds: "what commands share: flags, calls of a hub or of its reads, output"
  },
  {
    name: "cli commands",
    paths: ["hub/src/cli/commands"],
    mayImport: [
      "hub workspace",
      "hub database",
      "hub jobs",
      "hub retention",
      "hub plugins",
      "hub search",
      "hub telemetry",
      "hub",
      "cli parts"
    ],
    holds: "a file for each command"
  },
  {
    name: "cli",
    paths: ["hub/src/cli", "hub/src/main.ts"],
    mayImport: ["cli parts", "cli commands"],
    holds: "the command line's entry"
  },
  {
    name: "bench",
    paths: ["bench"],
    mayImport: ["ground", "wire", "services", "metrics"],
    holds: "benchmarks; parts of the library are measured alone"
  },
  {
    name: "scripts",
    paths: ["scripts"],
    mayImport: ["contract", "hub"],
    holds: "what is generated, checked and tried out in development"
  }
]

const root = fileURLToPath(new URL("..", import.meta.url))

/** The source files of a folder, by their path from the root. */
const sourcesIn = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => path.posix.join(folder, file.replaceAll(path.sep, "/")))

/** Folders whose lint rules are generated. The other packages have rules for packages and types, written by hand. */
const generatedRoots = ["src", "hub/src", "bench", "scripts"]

/** Each of these files must belong to a layer. */
export const layeredFiles: ReadonlyArray<string> = [
  ...generatedRoots,
  "protocol/src",
  "client/src",
  "plugins/src"
].flatMap(sourcesIn)

/** The layer of a file: that of the longest path that leads to it. */
export const layerOf = (file: string): Layer | undefined => {
  let found: { readonly layer: Layer; readonly length: number } | undefined
  for (const layer of layers) {
    for (const place of layer.paths) {
      const isPlace = file === place || file.startsWith(`${place}/`)
      if (isPlace && place.length > (found?.length ?? 0)) found = { layer, length: place.length }
    }
  }
  return found?.layer
}

const imports = /(?:\bfrom\s*|\bimport\s*\(\s*|^import\s*)"(\.[^"]+)"/gm

/** The files that a file imports by relative names. */
export const importsOf = (file: string): ReadonlyArray<string> =>
  [
    ...fs
      .readFileSync(path.join(root, file), "utf8")
      .replace(/^ *(?:\*|\/\/|\/\*\*).*$/gm, "")
      .matchAll(imports)
  ].map(([, specifier = ""]) => path.posix.join(path.posix.dirname(file), specifier))

/** Each import that the list does not allow, as a sentence. */
export const violations = (files: ReadonlyArray<string> = layeredFiles): ReadonlyArray<string> =>
  files.flatMap((file) => {
    const layer = layerOf(file)
    if (layer === undefined) return [`${file} belongs to no layer: add it to scripts/layers.ts`]
    return importsOf(file).flatMap((target) => {
      const other = layerOf(target)
      if (other === layer || (other !== undefined && layer.mayImport.includes(other.name))) return []
      const known = other === undefined ? "no layer" : `"${other.name}"`
      return [`${file} of layer "${layer.name}" imports ${target} of ${known}`]
    })
  })

interface Override {
  readonly files: ReadonlyArray<string>
  readonly rules: object
}

const relative = (from: string, to: string): string => {
  const way = path.posix.relative(from, to)
  return way.startsWith(".") ? way : `./${way}`
}

/** The rule for the files of one folder: everything relative is refused but its own layer and those it may import. */
const overrideFor = (layer: Layer, folder: string, files: ReadonlyArray<string>): Override => {
  const allowed = [layer, ...layers.filter(({ name }) => layer.mayImport.includes(name))]
  const inner = layers.filter((other) => !allowed.includes(other)).flatMap(({ paths }) => paths)
  const patternOf = (place: string): string =>
    place.endsWith(".ts") ? relative(folder, place) : `${relative(folder, place)}/**`
  const places = allowed
    .flatMap(({ paths }) => paths)
    .map((place) => (folder === place || folder.startsWith(`${place}/`) ? undefined : place))
    .filter((place) => place !== undefined)
  const own = layer.paths.find((place) => folder === place || folder.startsWith(`${place}/`))
  const up =
    own === undefined
      ? ""
      : "../".repeat(path.posix.relative(own, folder).split("/").filter(Boolean).length + 1)
  const group = [
    ...(own === undefined ? ["./**", "../**"] : [`${up}**`]),
    ...places.map((place) => `!${patternOf(place)}`),
    // A file of another layer in a folder of an allowed one.
    ...inner.filter((place) => places.some((other) => place.startsWith(`${other}/`))).map(patternOf),
    ...(layer.mustNotImport ?? [])
  ]
  const message = `The layer "${layer.name}" must not import this: see scripts/layers.ts and docs/architecture.md.`
  return { files, rules: { "no-restricted-imports": ["error", { patterns: [{ group, message }] }] } }
}

const isGeneratedPlace = (place: string): boolean =>
  generatedRoots.some((root) => place === root || place.startsWith(`${root}/`))

/** Written for each folder by itself: patterns are matched against the text of an import, which depends on its depth. */
export const overrides = (): ReadonlyArray<Override> =>
  layers
    .filter(({ paths }) => paths.some(isGeneratedPlace))
    .flatMap((layer) => {
      const folders = Map.groupBy(
        layeredFiles.filter((file) => layerOf(file) === layer),
        (file) => path.posix.dirname(file)
      )
      return [...folders]
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([folder, files]) => {
          const isWhole = layeredFiles.every(
            (file) => path.posix.dirname(file) !== folder || layerOf(file) === layer
          )
          return overrideFor(layer, folder, isWhole ? [`${folder}/*.ts`] : files.toSorted())
        })
    })

const isGenerated = ({ files }: Override): boolean => files.every(isGeneratedPlace)

const configFile = path.join(root, ".oxlintrc.json")
export const committedConfig = () => JSON.parse(fs.readFileSync(configFile, "utf8"))

/** The committed lint config with the rules of this list in it. */
export const lintConfig = () => {
  const config = committedConfig()
  const others = config.overrides.filter((override: Override) => !isGenerated(override))
  return { ...config, overrides: [...overrides(), ...others] }
}

/** The list as a table of docs/architecture.md. */
export const layerTable = (): string =>
  [
    "| layer | files | holds | may import |",
    "| --- | --- | --- | --- |",
    ...layers.map(
      ({ name, paths, holds, mayImport }) =>
        `| ${name} | ${paths.map((place) => `\`${place}\``).join(", ")} | ${holds} | ${mayImport.join(", ") || "nothing"} |`
    )
  ].join("\n")

const start = "<!-- layers: written by npm run generate:layers -->"
const end = "<!-- end of layers -->"
export const architectureFile = path.join(root, "docs", "architecture.md")

/** The page with the table of this list in it. */
export const architecturePage = (): string => {
  const page = fs.readFileSync(architectureFile, "utf8")
  const [before = ""] = page.split(start)
  const [, after = ""] = page.split(end)
  return `${before}${start}\n${layerTable()}\n${end}${after}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  fs.writeFileSync(configFile, `${JSON.stringify(lintConfig(), null, 2)}\n`)
  fs.writeFileSync(architectureFile, architecturePage())
}
