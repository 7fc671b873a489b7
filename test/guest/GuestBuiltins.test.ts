/** A plugin that patches built-in modules does not change the guest's own code. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import { linkifier, PluginRuntime } from "../../src/index.ts"
import { layerRuntime, levels, message, specOn } from "../support/isolation.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "agentlip-builtins-")))
afterAll(() => fs.rmSync(folder, { recursive: true }))
const modulePath = path.join(folder, "patches.mjs")
fs.writeFileSync(
  modulePath,
  `import fs from "node:fs"
import path from "node:path"
import url from "node:url"
const heard = []
for (const [module, names] of [[url, ["fileURLToPath"]], [path, ["basename", "dirname", "join", "resolve"]]]) {
  for (const name of names) {
    const original = module[name]
    // Some Nodes freeze \`path\` where there are permissions: nothing to hear there.
    Reflect.set(module, name, (...args) => {
      heard.push(name)
      return original(...args)
    })
  }
}
export default {
  name: "patches",
  version: "1.0.0",
  enrich() {
    url.fileURLToPath("file:///the/patch/works")
    fs.existsSync(new URL("file:///nothing"))
    fs.existsSync("/nothing")
    return [{ kind: heard.join(" "), span: { start: 0, end: 1 }, data: {} }]
  }
}`
)

const randomPath = path.join(folder, "random.mjs")
fs.writeFileSync(
  randomPath,
  `const problemOf = (array) => {
  try {
    return crypto.getRandomValues(array) === array ? "none" : "another array"
  } catch ({ name }) {
    return name
  }
}
class Liar extends Uint32Array {
  get byteLength() {
    return 2 ** 20
  }
}
export default {
  name: "random",
  version: "1.0.0",
  enrich() {
    const part = new Uint8Array(96).subarray(32, 64)
    crypto.getRandomValues(part)
    const filled = new Uint8Array(part.buffer).reduce((found, byte, at) => (byte === 0 ? found : [...found, at]), [])
    const kinds = [
      ...[new Uint8Array(65_536), new BigInt64Array(2), new Liar(4)].map(problemOf),
      ...[new Uint8Array(65_537), new Float32Array(1), new DataView(new ArrayBuffer(8)), [1], undefined].map(problemOf),
      filled.length > 16 && filled.every((at) => at >= 32 && at < 64) ? "only its part" : "elsewhere"
    ]
    return kinds.map((kind) => ({ kind, span: { start: 0, end: 1 }, data: {} }))
  }
}`
)

/** What a call returns, or the code of its error. */
const codeOf = `const codeOf = (call) => {
  try {
    return call()
  } catch ({ code }) {
    return code
  }
}`

const valuesPath = path.join(folder, "values.mjs")
fs.writeFileSync(
  valuesPath,
  `import { randomBytes, randomInt, randomUUID } from "node:crypto"
${codeOf}
export default {
  name: "values",
  version: "1.0.0",
  enrich() {
    const dice = new Set(Array.from({ length: 300 }, () => randomInt(1, 4)))
    const long = randomBytes(10_001)
    const values = [
      [...dice].sort().join(),
      [...new Set(Array.from({ length: 100 }, () => randomInt(2)))].sort().join(),
      randomInt(-5, -4),
      ...[[0], [3, 3], [0, 2 ** 48], [1.5], [], ["1"]].map((bounds) => codeOf(() => randomInt(...bounds))),
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(randomUUID()),
      randomUUID() !== crypto.randomUUID(),
      Buffer.isBuffer(long) && long.length === 10_001 && long.subarray(9_900).some((byte) => byte > 0),
      codeOf(() => randomBytes(-1)),
      codeOf(() => randomBytes("1")),
      (() => {
        const [from, to] = [Buffer.from("abcdef"), Buffer.alloc(6, "-")]
        const copied = from.copy(to, 1, 2, 5)
        const written = [to.write("é", 0), to.write("ff", 5, "hex"), to.latin1Write("z", 4), to.write("long", 3, 1, "ascii")]
        return [copied, ...written, to.toString("latin1"), codeOf(() => from.copy({})), codeOf(() => to.write({}))].join()
      })(),
      ...[["randomInt", 9, () => {}], ["randomInt", 1, 9, () => {}], ["randomBytes", 1, () => {}]].map(
        ([name, ...args]) => codeOf(() => ({ randomBytes, randomInt })[name](...args))
      ),
      (() => {
        const bytes = Buffer.alloc(4, "ab")
        const plain = new Uint8Array([104, 105])
        const { alloc, prototype } = Buffer
        return [
          bytes.toString(), String(bytes), bytes.toString("utf8"), bytes.toString("hex", 1, 3), bytes.toString("base64"),
          bytes.toString(undefined, 2), bytes.toLocaleString(), prototype.toString.call(plain),
          prototype.toString.call(plain, "hex"), prototype.utf8Slice.call(plain), bytes.hexSlice(1, 3), bytes.latin1Slice(),
          bytes.fill(0) === bytes, bytes.fill("z", 1, 3).toString("hex"), bytes.fill("cd", "hex").hexSlice(),
          bytes.fill(new Uint8Array([1, 2]), 1).hexSlice(), bytes.hexWrite("ff00", 2), bytes.hexSlice(),
          alloc(3, 7).hexSlice(), alloc(3, "YQ==", "base64").toString(), alloc(2, new Uint8Array([5])).hexSlice(),
          codeOf(() => alloc(1, "")?.hexSlice()), codeOf(() => alloc(1, new Uint8Array(0))), codeOf(() => bytes.fill({})),
          codeOf(() => bytes.hexSlice({})), codeOf(() => bytes.toString("nonsense")), alloc.name, prototype.toString.name
        ].join()
      })()
    ]
    return values.map((value) => ({ kind: String(value), span: { start: 0, end: 1 }, data: {} }))
  }
}`
)

const filesPath = path.join(folder, "files.mjs")
const filesFolder = path.join(folder, "granted")
fs.mkdirSync(filesFolder)
// Processes run as another user.
fs.chmodSync(folder, 0o755)
fs.chmodSync(filesFolder, 0o777)
execFileSync("mkfifo", ["-m", "666", path.join(filesFolder, "pipe")])
fs.writeFileSync(
  filesPath,
  `import fs from "node:fs"
const at = (name) => ${JSON.stringify(filesFolder)} + "/" + name
${codeOf}
export default {
  name: "files",
  version: "1.0.0",
  enrich() {
    const long = Buffer.from("0123456789".repeat(20_000))
    fs.writeFileSync(at("long"), long)
    fs.copyFileSync(at("long"), at("copy"))
    fs.writeFileSync(at("view"), new DataView(long.buffer, long.byteOffset + 1, 3))
    fs.writeFileSync(at("hex"), "616263", "hex")
    fs.appendFileSync(at("hex"), "é")
    fs.writeFileSync(at("empty"), "")
    const values = [
      fs.readFileSync(at("copy")).equals(long),
      fs.readFileSync(at("long"), "utf8").length,
      fs.readFileSync(at("view"), "latin1"),
      fs.readFileSync(at("hex"), { encoding: "utf8" }),
      fs.readFileSync(at("empty")).length,
      codeOf(() => fs.readFileSync(at("long"), "nonsense")),
      codeOf(() => fs.writeFileSync(at("long"), {})),
      fs.readFileSync(at("long")).length,
      codeOf(() => fs.readFileSync(at(""))),
      (() => {
        fs.writeFileSync(at("plain"), "é", { encoding: "" })
        return [fs.readFileSync(at("plain"), ""), fs.readFileSync(at("plain"), { encoding: "" })].map((read) => read.toString("hex")).join()
      })(),
      (() => {
        Object.getPrototypeOf(fs.statSync(at("pipe"))).isFile = () => true
        return codeOf(() => fs.readFileSync(at("pipe")).length)
      })(),
      (() => {
        Object.prototype.get = () => 1
        try {
          fs.writeFileSync(at("plain"), "abc")
          return fs.readFileSync(at("plain")).latin1Slice() + Buffer.from("abcd").fill("x")
        } finally {
          delete Object.prototype.get
          fs.rmSync(at("plain"))
        }
      })()
    ]
    for (const name of ["long", "copy", "view", "hex", "empty"]) fs.rmSync(at(name))
    return values.map((value) => ({ kind: String(value), span: { start: 0, end: 1 }, data: {} }))
  }
}`
)

// The WebAssembly level has no built-ins of Node's.
for (const level of levels.filter(({ isolation }) => isolation !== "wasm")) {
  layer(layerRuntime())(level.name, (it) => {
    for (const enforcement of ["enforce", "audit"] as const) {
      it.effect(`a plugin's patches see none of the guest's own calls (${enforcement})`, () =>
        Effect.gen(function* () {
          const runtime = yield* PluginRuntime
          const spec = specOn(level, { name: "patches", kind: linkifier, modulePath, enforcement })
          const output = yield* runtime.run(spec, { message })
          assert.deepStrictEqual(
            output.map(({ kind }) => kind),
            ["fileURLToPath"]
          )
        })
      )
    }
    it.effect("getRandomValues writes only into its argument", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const spec = specOn(level, { name: "random", kind: linkifier, modulePath: randomPath })
        const output = yield* runtime.run(spec, { message })
        const kinds = output.map(({ kind }) => kind)
        const mismatch = "TypeMismatchError"
        assert.deepStrictEqual(kinds.slice(0, 3), ["none", "none", "none"])
        assert.deepStrictEqual(kinds.slice(3, 8), [
          "QuotaExceededError",
          mismatch,
          mismatch,
          mismatch,
          mismatch
        ])
        assert.strictEqual(kinds[8], "only its part")
      })
    )
    it.effect("random numbers, ids and bytes are as Node's", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const spec = specOn(level, { name: "values", kind: linkifier, modulePath: valuesPath })
        const output = yield* runtime.run(spec, { message })
        assert.deepStrictEqual(
          output.map(({ kind }) => kind),
          [
            "1,2,3",
            "0,1",
            "-5",
            "ERR_OUT_OF_RANGE",
            "ERR_OUT_OF_RANGE",
            "ERR_OUT_OF_RANGE",
            "ERR_INVALID_ARG_TYPE",
            "ERR_INVALID_ARG_TYPE",
            "ERR_INVALID_ARG_TYPE",
            "true",
            "true",
            "true",
            "ERR_OUT_OF_RANGE",
            "ERR_INVALID_ARG_TYPE",
            "3,2,1,1,1,\u00c3\u00a9dlz\u00ff,ERR_INVALID_ARG_TYPE,ERR_INVALID_ARG_TYPE",
            "ERR_INVALID_ARG_TYPE",
            "ERR_INVALID_ARG_TYPE",
            "ERR_INVALID_ARG_TYPE",
            "abab,abab,abab,6261,YWJhYg==,ab,abab,hi,6869,hi,6261,abab,true,007a7a00,cdcdcdcd,cd010201,2,cd01ff00,070707,aaa,0505,00,ERR_INVALID_ARG_VALUE,ERR_INVALID_ARG_TYPE,ERR_INVALID_ARG_TYPE,ERR_UNKNOWN_ENCODING,alloc,toString"
          ]
        )
      })
    )
    it.effect("files are read and written as by Node, whatever their length", () =>
      Effect.gen(function* () {
        const runtime = yield* PluginRuntime
        const grants = { read: [filesFolder], write: [filesFolder] }
        const spec = specOn(level, { name: "files", kind: linkifier, modulePath: filesPath, grants })
        const output = yield* runtime.run(spec, { message })
        assert.deepStrictEqual(
          output.map(({ kind }) => kind),
          [
            "true",
            "200000",
            "123",
            "abcé",
            "0",
            "ERR_INVALID_ARG_VALUE",
            "ERR_INVALID_ARG_TYPE",
            "200000",
            "EISDIR",
            "c3a9,c3a9",
            "ERR_ACCESS_DENIED",
            "abcxxxx"
          ]
        )
      })
    )
  })
}
