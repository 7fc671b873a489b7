/** The process level: a separate Node with permission flags and limits of the operating system. */
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { bootFile, bootReads } from "../../guestFiles.ts"
import { permissionFlags } from "../permissionFlags.ts"
import { bubblewrapArguments } from "./bubblewrap.ts"
import type { ProcessHost } from "./ProcessHost.ts"
import { timeoutAwake } from "../../watch/HostPauses.ts"
import type { BootOptions } from "../IsolateFactory.ts"
import { LineDecoder } from "./LineDecoder.ts"
import type { GuestModules } from "../../../modules/GuestModules.ts"
import { usageOf } from "./procfs.ts"
import {
  type Death,
  deathWait,
  type Transport,
  type TransportEvents,
  type Usage
} from "../../isolate/Transport.ts"

/** MiB of address space that V8 and Node reserve for themselves. `ulimit -d` counts them. */
const dataFloor = 640

/** File descriptors: more than Node needs to run. */
const maxDescriptors = 256

/** Seconds of processor time of an isolate in its whole life. Only an isolate without a host reaches this. */
const maxCpuSeconds = 6 * 60 * 60

/** A limit that cannot be set is already lower. */
const limits = `{ ulimit -c 0; ulimit -n ${maxDescriptors}; ulimit -t ${maxCpuSeconds}; ulimit -d "$0"; } 2>/dev/null`

/**
 * Ends a guest when its host is gone for any reason. If the kernel cannot do this, a shell waits beside the guest until
 * its standard input closes, then ends the whole group.
 */
const watcher = `
exec 9<&0 </dev/null
( exec 2>/dev/null 3>&- 4>&- 5>&-; read -r _ <&9; kill -KILL -$$ ) &
exec 9<&-`

/** Removes the variables that shells add to an environment. */
const clean = "unset PWD OLDPWD SHLVL _"

/** Sets the limits, then becomes the given command. */
const launcher = (setpriv: string | undefined): string =>
  setpriv === undefined
    ? `${watcher}\n${clean}\n${limits}\nexec "$@"`
    : `${clean}\n${limits}\nexec ${setpriv} --pdeathsig KILL --no-new-privs -- "$@"`

const nodeFlags = (bootOptions: BootOptions): Array<string> => [
  ...permissionFlags(bootOptions),
  ...(bootOptions.memory === undefined ? [] : [`--max-old-space-size=${bootOptions.memory}`]),
  // The memory for young objects comes on top of that limit.
  "--max-semi-space-size=8"
]

const command = (bootOptions: BootOptions, host: ProcessHost): Array<string> => {
  const node = [host.node, ...nodeFlags(bootOptions), fileURLToPath(bootFile("bootProcess"))]
  return bootOptions.bubblewrap === true
    ? [...bubblewrapArguments([host.node, ...bootReads], bootOptions), ...node]
    : node
}

/** Characters kept of what Node writes before it dies. The rest is dropped. */
const maxLastWords = 4_096

/** Why a process ended that the host did not end. */
const reasonOf = (
  code: number | null,
  signal: string | null,
  lastWords: string,
  bootOptions: BootOptions
): string => {
  if (/heap out of memory|Allocation failed|heap limit/.test(lastWords)) {
    return `it ran out of memory, its limit is ${bootOptions.memory} MiB (limits.memory)`
  }
  if (signal === "SIGXCPU") return "it used up its processor time"
  const said = /^.*(?:Error|FATAL|Assertion|Check failed|terminate called|what\(\):).*$/m
    .exec(lastWords)?.[0]
    .trim()
    .slice(0, 300)
  const how = signal === null ? "it ended without an answer" : `it was ended by ${signal}`
  return said === undefined || code === 0 ? how : `${how}: ${said}`
}

/** The longest line of a guest without a plugin, in bytes. */
const helloLength = 64 * 1024

/** UTF-8 bytes of a guest's longest message apart from its output, and of one character. */
const otherLength = 1024 * 1024
const bytesPerCharacter = 3

/** The socket at a descriptor of the child. Throws if there is none, because the child could not be started. */
const socketAt = (child: ChildProcess, descriptor: number): Socket => {
  // Unset if the host had no descriptors left, although Node's types say otherwise.
  const stdio: ChildProcess["stdio"] | undefined = child.stdio
  const socket = stdio?.[descriptor]
  if (socket instanceof Socket) return socket
  throw new Error("the host may have no descriptors left; raise its limit (ulimit -n)")
}

/** Bytes of unread modules: a few of the largest possible. */
const maxUnread = 64 * 1024 * 1024

/** Passes on a guest's module requests, and sends the answers back. */
const serveGuest = (line: Socket, modules: GuestModules, broken: (what: string) => void): void => {
  const ask = modules.serve({
    send: ({ head, body }) => {
      line.cork()
      line.write(`${head}\n`)
      line.write(body)
      line.uncork()
      // A guest waits for each answer. If it does not read, the plugin sends requests by itself.
      if (line.writableLength > maxUnread) broken("requests for modules whose answers it does not read")
    },
    broken
  })
  const requests = new LineDecoder(helloLength, ask, (length) =>
    broken(`a request for a module of ${length} bytes`)
  )
  line.on("data", (chunk: Buffer) => requests.push(chunk))
}

/** Starts a process; it is ready once its hello has come. */
export const startProcess =
  (bootOptions: BootOptions, host: ProcessHost, setpriv: string | undefined) =>
  (events: TransportEvents): Transport => {
    const limit = (dataFloor + (bootOptions.memory ?? 0)) * 1024
    const child = spawn("/bin/sh", ["-c", launcher(setpriv), String(limit), ...command(bootOptions, host)], {
      cwd: "/",
      env: {},
      detached: true,
      stdio: ["pipe", "ignore", "pipe", "pipe", "pipe", "pipe"],
      ...host.user
    })
    // First: a failed spawn emits its error in a later turn, and without a listener it would end the host.
    child.on("error", () => {})
    // The same numbers as in guest/node/processLine.ts.
    const { stdin: lifeline, stderr: lastWords } = child
    const toGuest = socketAt(child, 3)
    const fromGuest = socketAt(child, 4)
    const modules = socketAt(child, 5)
    const streams = [lifeline, lastWords, toGuest, fromGuest, modules].filter((stream) => stream !== null)
    let said = ""
    let gone = false
    const onGone: Array<() => void> = []
    const baseline: { memory: number } = { memory: 0 }

    const die = (death: Death): void => {
      if (gone) return
      gone = true
      for (const stream of streams) stream.destroy()
      events.died(death)
      for (const tell of onGone) tell()
    }

    for (const stream of streams) {
      // The other end of a socket pair can close at any time. `exit` reports it.
      stream.on("error", () => {})
      if (stream instanceof Socket) stream.unref()
    }
    lastWords?.on("data", (chunk: Buffer) => {
      if (said.length < maxLastWords) said += chunk.toString("utf8").slice(0, maxLastWords)
    })
    const decoder = new LineDecoder(
      helloLength,
      (line) => {
        if (baseline.memory === 0) baseline.memory = usageOf(child.pid)?.memory ?? 1
        events.message(line)
      },
      (length) => events.broken(`a message of at least ${length} bytes`)
    )
    fromGuest.on("data", (chunk: Buffer) => decoder.push(chunk))
    child.on("error", (error) => die({ reason: `its process could not be started (${error.message})` }))
    child.on("exit", (code, signal) => {
      // Ends the shell beside it, and with it the group.
      lifeline?.destroy()
      child.on("close", () =>
        die({
          reason: reasonOf(code, signal, said, bootOptions),
          ...(code === null ? {} : { exitCode: code })
        })
      )
    })

    const hold = (held: boolean): void => {
      if (gone) return
      if (held) child.ref()
      else child.unref()
    }
    hold(false)

    const kill = Effect.callback<boolean>((resume) => {
      if (gone) return resume(Effect.succeed(true))
      onGone.push(() => resume(Effect.succeed(true)))
      killGroup(child.pid)
    }).pipe(
      // Finalizers run uninterruptibly, and the wait must end there too.
      Effect.interruptible,
      timeoutAwake(deathWait, () => Effect.succeed(false))
    )

    return {
      send: (text) => toGuest.write(`${text}\n`),
      load: (text, plugin, outputLength) => {
        decoder.maxLength = bytesPerCharacter * outputLength + otherLength
        if (plugin !== undefined) serveGuest(modules, plugin, events.broken)
        toGuest.write(`${text}\n`)
      },
      hold,
      kill,
      usage: async (): Promise<Usage> => {
        const usage = usageOf(child.pid)
        if (usage === undefined) return { memory: 0, cpu: undefined }
        return { memory: Math.max(0, usage.memory - baseline.memory), cpu: usage.cpu }
      }
    }
  }

const killGroup = (pid: number | undefined): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // The group is gone already.
  }
}
