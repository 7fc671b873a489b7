/** The files of a new workspace. */
import { version } from "../../version.ts"

const config = `// Which plugins the hub of this folder runs, and what each may do. It is your own code: it runs in the hub.
// A type import only: it is gone when the file runs.
import type { AgentlipConfig } from "@agentlip/plugin-runtime"

export default {
  // Linkifiers find spans in messages; extractors attach facts to topics.
  linkifiers: [
    {
      name: "hashtags", // unique here; its circuit, its logs and its rows go by it
      modulePath: "./plugins/hashtags.ts" // a file below this folder, or an installed package
      // timeout: "2 seconds", // of one run; default 5 seconds
      // config: { ignore: ["todo"] }, // what the plugin gets as \`config\`
      // grants: { net: ["api.example.com"] }, // hosts, files or variables that it may reach; default none
      // isolation: "wasm", // default "process": a Node of its own, without any rights
      // enabled: false
    }
  ],
  extractors: []
} satisfies AgentlipConfig
`

const plugin = `// A plugin is an ES module. This one finds hashtags such as #release; spans count as JavaScript strings do.
import { linkifier } from "@agentlip/plugin-runtime/plugin"

export default linkifier<{ ignore?: ReadonlyArray<string> }>({
  name: "hashtags",
  version: "1.0.0",
  enrich: ({ message, config }) =>
    message.content_raw
      .matchAll(/#([\\p{L}\\p{N}_]+)/gu)
      .map((match) => ({
        kind: "hashtag",
        span: { start: match.index, end: match.index + match[0].length },
        data: { tag: (match[1] ?? "").toLowerCase() }
      }))
      .filter(({ data }) => !(config.ignore ?? []).includes(data.tag))
      .toArray()
})
`

const test = `// Run it with: npm test
import { testRun } from "@agentlip/plugin-runtime/testing"
import assert from "node:assert/strict"
import { test } from "node:test"
import hashtags from "../plugins/hashtags.ts"

test("finds hashtags and where they are", async () => {
  assert.deepEqual(await testRun(hashtags, "Ready for #Release"), [
    { kind: "hashtag", span: { start: 10, end: 18 }, data: { tag: "release" } }
  ])
})

test("leaves out the tags that its config ignores", async () => {
  assert.deepEqual(await testRun(hashtags, "#todo", { config: { ignore: ["todo"] } }), [])
})
`

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const manifest = (name: string): string =>
  json({
    name,
    private: true,
    type: "module",
    scripts: {
      start: "agentlip up",
      test: "node --test",
      check: "agentlip plugin check",
      types: "tsc"
    },
    devDependencies: {
      "@agentlip/hub": `^${version}`,
      "@agentlip/plugin-runtime": `^${version}`,
      "@types/node": "^26.0.0",
      typescript: "^7.0.0"
    }
  })

/** Node runs the files as they are, so the compiler only checks them. */
const compiler = json({
  compilerOptions: {
    target: "esnext",
    module: "nodenext",
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    types: ["node"]
  },
  include: ["*.ts", "plugins", "test"]
})

/** For VS Code and editors that read its files. */
const debug = json({
  version: "0.2.0",
  configurations: [
    {
      name: "Debug the open test",
      type: "node",
      request: "launch",
      program: "${file}",
      skipFiles: ["<node_internals>/**"]
    },
    {
      name: "Attach to: agentlip plugin run FILE --text TEXT --inspect",
      type: "node",
      request: "attach",
      address: "127.0.0.1",
      port: 9229,
      skipFiles: ["<node_internals>/**"]
    }
  ]
})

/** A valid package name that looks like the folder's. */
const packageName = (folder: string): string =>
  folder
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "") || "chat"

export interface NewFile {
  /** Its path in the workspace. */
  readonly name: string
  readonly text: string
  readonly about: string
}

/** What a workspace needs. If one of them exists already, nothing is written. */
export const required: ReadonlyArray<NewFile> = [
  { name: "agentlip.config.ts", text: config, about: "the plugins that the hub runs, and what each may do" },
  { name: "plugins/hashtags.ts", text: plugin, about: "a first plugin" }
]

/** What makes it a project. Those that exist already are kept. */
export const project = (folder: string): ReadonlyArray<NewFile> => [
  { name: "test/hashtags.test.ts", text: test, about: "a test of the plugin" },
  { name: "package.json", text: manifest(packageName(folder)), about: "scripts and dependencies" },
  { name: "tsconfig.json", text: compiler, about: "types for your editor" },
  { name: ".vscode/launch.json", text: debug, about: "debugging of plugins and tests in your editor" },
  { name: ".gitignore", text: "node_modules/\n", about: "keeps installed packages out of git" }
]
