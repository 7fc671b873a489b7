/** The process level only: how a process starts, the limits that the system enforces, and how it ends. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Schedule } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, vi } from "vitest"
import { CircuitBreaker } from "../../src/CircuitBreaker.ts"
import type { PluginError, PluginErrorCode } from "../../src/Errors.ts"
import { Audits } from "../../src/isolates/Audits.ts"
import { processFactory } from "../../src/isolates/levels/isolateFactories.ts"
import { findProcessHost } from "../../src/isolates/levels/process/ProcessHost.ts"
import { makePools } from "../../src/isolates/pool/Pools.ts"
import { WarmMemory } from "../../src/isolates/pool/WarmMemory.ts"
import { Cores } from "../../src/isolates/pool/Cores.ts"
import { metricsLayer, PluginMetrics } from "../../src/Metrics.ts"
import { ModuleLoader } from "../../src/modules/ModuleLoader.ts"
import { makeSpec, type PluginSpecOptions } from "../../src/Plugin.ts"
import { linkifier } from "../../src/PluginKinds.ts"
import { PluginRuntime } from "../../src/Runtime.ts"
import { WorkerLayer, type WorkerOptions } from "../../src/WorkerLayer.ts"
import { message } from "../support/isolation.ts"

const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "process-")))
// If the host is root, its plugins' processes run as another user.
fs.chmodSync(folder, 0o755)
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

/** A plugin whose method is this function's body. */
const plugin = (name: string, body: string): string => {
  const file = path.join(folder, `${name}.mjs`)
  fs.writeFileSync(file, `export default { enrich: async ({ message }) => { ${body} } }`)
  return file
}

type Options = Partial<PluginSpecOptions<typeof linkifier>>

const run = (name: string, body: string, options: Options = {}) =>
  Effect.flatMap(PluginRuntime, (runtime) =>
    runtime.run(
      makeSpec({ name, kind: linkifier, modulePath: plugin(name, body), isolation: "process", ...options }),
      { message }
    )
  )

const failing = <A, R>(effect: Effect.Effect<A, PluginError, R>, code: PluginErrorCode) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.strictEqual(error._tag, code, error.message)
    return error.message
  })

const runtimeWith = (options: WorkerOptions = {}) =>
  PluginRuntime.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        CircuitBreaker.layer({ failureThreshold: 100 }),
        WorkerLayer.layer({ spares: 1, ...options })
      )
    )
  )

type Test = Effect.Effect<void, unknown, PluginRuntime | WorkerLayer>

/** A test with its own runtime. */
const live = (name: string, test: Test, options: WorkerOptions = {}): void => {
  it.live(name, () => test.pipe(Effect.provide(runtimeWith(options)), Effect.provide(Logger.layer([]))))
}

describe("Errors of a process", () => {
  const node = path.join(folder, "aborting-node")
  fs.writeFileSync(
    node,
    `#!/bin/sh
[ "$1" = --version ] && { echo v26.10.0; exit; }
echo "  #  node[7]: void node::Thing(int) at ../src/thing.cc:12" >&2
echo "  #  Assertion failed: (args.Length()) == (2)" >&2
kill -ABRT $$
`,
    { mode: 0o755 }
  )

  live(
    "an abort names the assertion that failed",
    Effect.map(failing(run("aborts", "return []"), "WORKER_CRASH"), (text) => {
      assert.include(text, "SIGABRT")
      assert.include(text, "Assertion failed: (args.Length()) == (2)")
    }),
    { node }
  )

  live(
    "a missing function of crypto names its replacement",
    Effect.map(
      failing(run("subtle", 'return crypto.subtle.digest("SHA-256", new Uint8Array(1))'), "EXECUTION_ERROR"),
      (text) => {
        assert.include(text, "crypto.subtle.digest")
        assert.include(text, "createHash")
      }
    )
  )

  live(
    "a message of control characters stays short when it is escaped",
    Effect.map(
      failing(run("controls", 'throw new Error("\\u0001".repeat(100_000))'), "EXECUTION_ERROR"),
      (text) => assert.isBelow(text.length, 4_200)
    )
  )
})

/** Tests that share a runtime. */
const block = (name: string, tests: (live: (name: string, test: Test) => void) => void) =>
  layer(runtimeWith(), { excludeTestServices: true })(name, ({ effect }) =>
    tests((name, test) => effect(name, () => Effect.provide(test, Logger.layer([]))))
  )

const sleepAWhile = "await new Promise((resolve) => setTimeout(resolve, 60_000))"

/** The ids of this host's processes that boot a guest, read from /proc. */
const guests = (): ReadonlyArray<string> =>
  fs.readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const [, parent] = /^PPid:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8")) ?? []
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8")
      return Number(parent) === process.pid && command !== "" && !command.startsWith("/bin/sh")
    } catch {
      // Gone meanwhile.
      return false
    }
  })

const readOf = (file: string): string => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch {
    // Gone meanwhile.
    return ""
  }
}
const commandOf = (pid: number): string => readOf(`/proc/${pid}/cmdline`)
const descendants = (pid: number): ReadonlyArray<number> =>
  (fs.existsSync(`/proc/${pid}/task`) ? fs.readdirSync(`/proc/${pid}/task`) : [])
    .flatMap((thread) => readOf(`/proc/${pid}/task/${thread}/children`).trim().split(" "))
    .filter((child) => child !== "")
    .flatMap((child) => [Number(child), ...descendants(Number(child))])

const isRoot = process.getuid?.() === 0
const isLinux = process.platform === "linux"
const bubblewrap =
  spawnSync("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"], { env: { PATH: process.env["PATH"] } })
    .status === 0

describe("A process starts", () => {
  live(
    "with an empty environment, in /, without a view of its host",
    Effect.gen(function* () {
      const [answer] = yield* run(
        "born",
        `return [{ kind: "x", span: { start: 0, end: 1 }, data: {
          env: Object.keys(process.env).length, cwd: process.cwd(), argv: process.argv.join(), pid: process.pid } }]`
      )
      assert.deepStrictEqual(answer?.data, { env: 0, cwd: "/", argv: "node,plugin", pid: 0 })
    })
  )

  const seen = (name: string, look: (pid: string) => void, options: WorkerOptions = {}) =>
    live(
      name,
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(run("sleeps", sleepAWhile))
        // The plugin's process or a spare: both start the same way.
        const pids = yield* Effect.repeat(Effect.delay(Effect.sync(guests), 20), {
          until: (pids) => pids.length > 0,
          times: 200
        })
        assert.isNotEmpty(pids)
        // The launcher sets the limits before it becomes the guest.
        yield* Effect.promise(() =>
          vi.waitFor(
            () => {
              for (const pid of guests()) look(pid)
            },
            { timeout: 10_000, interval: 50 }
          )
        )
        running.interruptUnsafe()
      }),
      options
    )

  if (isLinux) {
    seen("with the system's limits for core dumps, descriptors, data and processor time", (pid) => {
      const limits = fs.readFileSync(`/proc/${pid}/limits`, "utf8")
      assert.match(limits, /Max core file size\s+0 /)
      assert.match(limits, /Max open files\s+256 /)
      assert.match(limits, /Max cpu time\s+21600 /)
      assert.match(limits, /Max data size\s+805306368 /)
      assert.strictEqual(fs.readFileSync(`/proc/${pid}/environ`, "utf8"), "")
      assert.strictEqual(fs.readlinkSync(`/proc/${pid}/cwd`), "/")
      // Its own group and session.
      const [, , , , group, session] = fs
        .readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/\(.*\)/, "x")
        .split(" ")
      assert.deepStrictEqual([group, session], [pid, pid])
    })
  }

  if (isLinux && isRoot) {
    seen("with the user id of `nobody` and no way to gain privileges, if its host is root", (pid) => {
      const status = fs.readFileSync(`/proc/${pid}/status`, "utf8")
      assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m)
      assert.match(status, /^Gid:\t65534\t65534\t65534\t65534$/m)
      assert.match(status, /^Groups:\s*$/m)
      assert.match(status, /^NoNewPrivs:\t1$/m)
    })

    seen(
      'as the host\'s user with the option user: "host"',
      (pid) => assert.match(fs.readFileSync(`/proc/${pid}/status`, "utf8"), /^Uid:\t0\t0\t0\t0$/m),
      { user: "host" }
    )

    live(
      "only if its granted folders still exist",
      Effect.gen(function* () {
        const short = path.join(folder, "short-lived")
        fs.mkdirSync(short)
        const spec = makeSpec({
          name: "short",
          kind: linkifier,
          modulePath: plugin("short", "return []"),
          isolation: "process",
          reuse: "never",
          grants: { read: [short] }
        })
        const runtime = yield* PluginRuntime
        assert.deepStrictEqual(yield* runtime.run(spec, { message }), [])
        fs.rmSync(short, { recursive: true })
        assert.include(yield* failing(runtime.run(spec, { message }), "LOAD_ERROR"), short)
      })
    )

    live(
      "only if its user can reach the grants; the error says what to do",
      Effect.gen(function* () {
        const closed = path.join(folder, "closed")
        fs.mkdirSync(closed, { mode: 0o700 })
        for (const grant of ["read", "write"] as const) {
          const text = yield* failing(
            run("granted", "return []", { grants: { [grant]: [closed] } }),
            "LOAD_ERROR"
          )
          assert.include(text, closed)
          assert.include(text, 'user: "host"')
        }
      })
    )
  }

  it.live("before the first run, if the Layer has only this level", () =>
    Effect.gen(function* () {
      const { stats } = yield* WorkerLayer
      const { isolates } = yield* Effect.repeat(Effect.delay(stats, 20), {
        until: ({ isolates }) => isolates > 0,
        times: 200
      })
      assert.strictEqual(isolates, 1)
    }).pipe(Effect.provide(WorkerLayer.layerProcess({ spares: 1 })))
  )

  live(
    "or fails with LOAD_ERROR if the Node is missing; the other levels still work",
    Effect.gen(function* () {
      assert.include(yield* failing(run("lost", "return []"), "LOAD_ERROR"), "/no/such/node")
      assert.deepStrictEqual(yield* run("found", "return []", { isolation: "thread" }), [])
    }),
    { node: "/no/such/node" }
  )
})

describe("A host without descriptors", () => {
  it("gets a typed error and continues", () => {
    const host = fileURLToPath(new URL("../fixtures/library/fullHost.ts", import.meta.url))
    const node = JSON.stringify(process.execPath)
    const { stdout, status, stderr } = spawnSync(
      "/bin/sh",
      ["-c", `ulimit -n 200; exec ${node} --conditions=@agentlip/source ${JSON.stringify(host)}`],
      { encoding: "utf8" }
    )
    assert.strictEqual(status, 0, stderr)
    assert.match(stdout, /^WORKER_CRASH .*descriptors.*\nran\n$/)
  })
})

block("A process cannot exceed", (live) => {
  const fill = (make: string): string =>
    `const kept = []; for (;;) { kept.push(${make}); await new Promise((resolve) => setTimeout(resolve, 1)) }`
  const memory: ReadonlyArray<readonly [string, string]> = [
    ["its heap", "const kept = []; for (;;) kept.push({ x: new Array(100).fill(1) })"],
    ["buffers", fill("Buffer.alloc(8e6, 1)")],
    ["shared memory", fill("new Uint8Array(new SharedArrayBuffer(8e6)).fill(1)")],
    ["WebAssembly's memory", fill("new Uint8Array(new WebAssembly.Memory({ initial: 128 }).buffer).fill(1)")],
    [
      "buffers that grow",
      "const b = new ArrayBuffer(1, { maxByteLength: 1e9 }); for (let n = 8e6; ; n += 8e6) { b.resize(n); new Uint8Array(b).fill(1); await new Promise((resolve) => setTimeout(resolve, 1)) }"
    ]
  ]
  for (const [what, body] of memory) {
    live(
      `limits.memory in ${what}`,
      Effect.gen(function* () {
        const text = yield* failing(
          run("hoards", body, { limits: { memory: 64 }, timeout: "20 seconds" }),
          "WORKER_CRASH"
        )
        assert.match(text, /64 MiB \(limits\.memory\)/)
      })
    )
  }

  live(
    "limits.memory, even if the operating system refuses memory before the host has measured it",
    Effect.gen(function* () {
      const pools = yield* makePools({
        options: {
          spares: 0,
          maxSpares: 0,
          idleTimeToLive: Duration.minutes(1),
          maxRuns: 100,
          maxAge: Duration.minutes(1),
          maxZombies: 3,
          keepLastGood: false,
          grantsBase: folder
        },
        level: yield* processFactory(yield* findProcessHost({})),
        memory: new WarmMemory(1_000),
        cores: new Cores(),
        metrics: yield* PluginMetrics,
        audits: new Audits(),
        loader: yield* ModuleLoader,
        // The host never measures.
        watch: undefined
      })
      const spec = makeSpec({
        name: "refused",
        kind: linkifier,
        modulePath: plugin("refused", "const kept = []; for (;;) kept.push(Buffer.alloc(8e6, 1))"),
        isolation: "process",
        limits: { memory: 32 },
        timeout: "30 seconds"
      })
      const output = Effect.withFiber((fiber) =>
        Effect.callback<string, PluginError>((resume) =>
          pools.prepare(spec).submit({
            spec,
            input: { json: JSON.stringify({ message }), texts: undefined },
            fiber,
            labels: { plugin: "refused", run: "refused#1" },
            traceparent: undefined,
            begun: undefined,
            version: undefined,
            readmit: () => undefined,
            answer: resume,
            leftover: () => {},
            crashed: () => {}
          })
        )
      )
      assert.match(yield* failing(output, "WORKER_CRASH"), /32 MiB \(limits\.memory\)/)
    }).pipe(Effect.scoped, Effect.provide([ModuleLoader.layer, metricsLayer]))
  )

  for (const isolation of ["process", "thread", "wasm"] as const) {
    live(
      `limits.cpu, on level ${isolation}`,
      Effect.gen(function* () {
        const text = yield* failing(
          run("burns", "for (;;);", { isolation, limits: { cpu: 100 }, timeout: "20 seconds" }),
          "WORKER_CRASH"
        )
        assert.match(text, /its limit is 100 ms a run \(limits\.cpu\)/)
        // The limit is per run, not per isolate.
        for (let n = 0; n < 5; n++) {
          yield* run(
            "works",
            "for (const end = performance.now() + 40; performance.now() < end; );return []",
            {
              isolation,
              limits: { cpu: 100 }
            }
          )
        }
      })
    )

    live(
      `limits.messageRate, on level ${isolation}`,
      Effect.gen(function* () {
        const text = yield* failing(
          run("chatters", "for (let n = 0; n < 200; n++) console.log(n); return []", {
            isolation,
            limits: { messageRate: 100 }
          }),
          "WORKER_CRASH"
        )
        assert.include(text, "limits.messageRate")
      })
    )
  }
})

block("A process ends", (live) => {
  live(
    "at its deadline, whatever it is doing",
    Effect.forEach(
      [
        "for (;;);",
        "for (;;) new Array(100).fill(0)",
        "new Array(2e6).fill(0).map(Math.random).sort(() => Math.random() - 0.5)",
        "/^(a+)+$/.test('a'.repeat(40) + 'b')",
        "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)"
      ],
      (body) =>
        Effect.gen(function* () {
          yield* failing(
            run("hangs", `if (message.id === "x") return []; ${body}; ${sleepAWhile}`, { timeout: 200 }),
            "TIMEOUT"
          )
          // On a busy machine, freeing its memory may take a moment.
          yield* Effect.repeat(
            WorkerLayer.use(({ stats }) => stats),
            { until: ({ zombies }) => zombies === 0, schedule: Schedule.spaced("10 millis") }
          )
        }),
      { discard: true }
    )
  )

  live(
    "without leaving descriptors or handles in its host, after forty fresh ones",
    Effect.gen(function* () {
      const fresh = run("fresh", "return []", { reuse: "never" })
      const descriptors = () => fs.readdirSync("/proc/self/fd").length
      for (let n = 0; n < 5; n++) yield* fresh
      const before = { descriptors: descriptors(), handles: process.getActiveResourcesInfo().length }
      for (let n = 0; n < 40; n++) yield* fresh
      // Allows for one isolate: the spare may or may not have started.
      assert.isAtMost(descriptors(), before.descriptors + 12)
      assert.isAtMost(process.getActiveResourcesInfo().length, before.handles + 12)
    })
  )
})

describe("A sandbox", () => {
  const inside = run(
    "inside",
    `return [{ kind: "x", span: { start: 0, end: 1 }, data: { answered: true } }]`,
    { sandbox: "bubblewrap" }
  )

  describe.skipIf(!bubblewrap)("of bubblewrap", () => {
    live(
      "runs a plugin with the same limits",
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* inside)[0]?.data, { answered: true })
        yield* failing(run("spins", "for (;;);", { sandbox: "bubblewrap", timeout: 300 }), "TIMEOUT")
        const text = yield* failing(
          run("hoards", "const kept = []; for (;;) { kept.push(Buffer.alloc(8e6, 1)); await null }", {
            sandbox: "bubblewrap",
            limits: { memory: 64 },
            timeout: "20 seconds"
          }),
          "WORKER_CRASH"
        )
        assert.include(text, "limits.memory")
        assert.deepStrictEqual(yield* run("auto", "return []", { sandbox: "auto" }), [])
      })
    )

    live(
      "can read only the granted files",
      Effect.gen(function* () {
        const open = path.join(folder, "open")
        fs.mkdirSync(open)
        fs.writeFileSync(path.join(open, "a.txt"), "granted")
        const output = yield* Effect.flatMap(PluginRuntime, (runtime) =>
          runtime.run(
            makeSpec({
              name: "files",
              kind: linkifier,
              modulePath: fileURLToPath(new URL("../fixtures/good/files.ts", import.meta.url)),
              isolation: "process",
              sandbox: "bubblewrap",
              grants: { read: [open] }
            }),
            { message: { ...message, content_raw: `read ${path.join(open, "a.txt")}` } }
          )
        )
        assert.deepStrictEqual(output[0]?.data, { text: "granted" })
      })
    )
  })

  describe.skipIf(!bubblewrap || !isRoot)("has its own namespaces", () => {
    const namespaces = ["net", "pid", "mnt", "ipc", "uts", "user"]
    /** The namespaces that a running plugin shares with this host. */
    const shared = (sandbox: "bubblewrap" | "none") =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(run(`sleeps-${sandbox}`, sleepAWhile, { sandbox }))
        const of = (pid: string | number, name: string) => fs.readlinkSync(`/proc/${pid}/ns/${name}`)
        const nodes = () => descendants(process.pid).filter((pid) => commandOf(pid).includes("bootProcess"))
        // A spare has no sandbox.
        const look = () =>
          nodes()
            .filter((pid) => sandbox === "none" || of(pid, "pid") !== of("self", "pid"))
            .map((pid) => namespaces.filter((name) => of(pid, name) === of("self", name)))
        const [found] = yield* Effect.repeat(Effect.delay(Effect.sync(look), 20), {
          until: (all) => all.length > 0,
          times: 200
        })
        running.interruptUnsafe()
        return found
      })

    live(
      "for processes, the network, files and users; without a sandbox it shares them all",
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* shared("bubblewrap"), [])
        assert.deepStrictEqual(yield* shared("none"), namespaces)
      })
    )
  })

  live(
    'is required by "bubblewrap" (LOAD_ERROR without it) and optional with "auto"',
    Effect.gen(function* () {
      const before = process.env["PATH"]
      process.env["PATH"] = folder
      yield* Effect.ensuring(
        Effect.gen(function* () {
          const text = yield* failing(inside, "LOAD_ERROR")
          assert.include(text, "bwrap")
          assert.include(text, "install bubblewrap")
          assert.deepStrictEqual(yield* run("auto", "return []", { sandbox: "auto" }), [])
        }),
        Effect.sync(() => {
          process.env["PATH"] = before
        })
      )
    })
  )

  live(
    "cannot be combined with an audit",
    Effect.map(
      failing(run("audited", "return []", { sandbox: "bubblewrap", enforcement: "audit" }), "LOAD_ERROR"),
      (text) => assert.include(text, "audit")
    )
  )
})
