/** However a hub ends, no process of a plugin outlives it. */
import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { vi } from "vitest"

const hostFile = fileURLToPath(new URL("../fixtures/library/host.ts", import.meta.url))
const bubblewrap =
  spawnSync("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"], { env: { PATH: process.env["PATH"] } })
    .status === 0

/** A process's state and parent, as Linux shows them; `undefined` once it is gone. */
const statusOf = (pid: number): { readonly state: string; readonly parent: number } | undefined => {
  try {
    const [, state, parent] =
      / ?(\S) (\d+)/.exec(fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "")) ?? []
    return state === undefined ? undefined : { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

/** The processes that a process started, and theirs. */
const descendants = (pid: number): ReadonlyArray<number> => {
  const all = fs
    .readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
  const children = all.filter((child) => statusOf(child)?.parent === pid)
  return children.flatMap((child) => [child, ...descendants(child)])
}

/** Whether a process still runs. A zombie does not. */
const runs = (pid: number): boolean => {
  const state = statusOf(pid)?.state
  return state !== undefined && state !== "Z" && state !== "X"
}

/** Starts a hub with a spinning plugin and an idle isolate. Returns it with all its processes. */
const startHub = (sandbox: string) => {
  const hub = spawn(
    process.execPath,
    ["--conditions=@agentlip/source", hostFile, "spin", "process", sandbox],
    { stdio: ["ignore", "pipe", "inherit"] }
  )
  return new Promise<{ readonly hub: typeof hub; readonly pids: ReadonlyArray<number> }>(
    (resolve, reject) => {
      let said = ""
      hub.on("error", reject)
      hub.on("exit", () => reject(new Error(`it ended after ${JSON.stringify(said)}`)))
      hub.stdout.on("data", (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes("spinning")) resolve({ hub, pids: descendants(hub.pid ?? 0) })
      })
    }
  )
}

describe.skipIf(process.platform !== "linux")("A hub leaves no process behind", () => {
  const sandboxes = bubblewrap ? ["none", "bubblewrap"] : ["none"]
  for (const sandbox of sandboxes) {
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      it(`when ${signal} ends it, with sandbox "${sandbox}"`, async () => {
        const { hub, pids } = await startHub(sandbox)
        // At least the spinning and the idle one.
        assert.isAtLeast(pids.filter(runs).length, 2)
        hub.kill(signal)
        await vi.waitFor(() => assert.deepStrictEqual(pids.filter(runs), []), {
          timeout: 10_000,
          interval: 10
        })
      })
    }
  }

  it("when it is stopped and then killed", async () => {
    const { hub, pids } = await startHub("none")
    hub.kill("SIGSTOP")
    hub.kill("SIGKILL")
    await vi.waitFor(() => assert.deepStrictEqual(pids.filter(runs), []), { timeout: 10_000, interval: 10 })
  })
})
