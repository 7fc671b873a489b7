/**
 * The command line of Agentlip v1, which scripts and agents use. Rewrites its arguments to those of today's commands.
 * Help does not show it: docs/from-v1.md lists it.
 */

interface Form {
  /** Today's command, if it has another name. */
  readonly command?: string
  /**
   * Today's arguments, in order: the flags that v1 had for them. The empty text is an argument in v1 too. The last one
   * may be repeated.
   */
  readonly slots: ReadonlyArray<string>
  /** v1's name of a flag, then today's. */
  readonly renamed?: Readonly<Record<string, string>>
  /** Flags that make today's command do what v1's did, unless they are given. */
  readonly added?: Readonly<Record<string, string>>
}

const forms: Readonly<Record<string, Form>> = {
  "topic list": { slots: ["channel-id"] },
  "topic rename": { slots: ["", "title"] },
  "msg tail": { slots: ["topic-id"] },
  "msg page": {
    command: "msg list",
    slots: ["topic-id"],
    renamed: { "before-id": "before", "after-id": "after" }
  },
  "msg send": { slots: ["topic-id", "content"] },
  "msg edit": { slots: ["", "content"] },
  "msg retopic": { slots: ["", "to-topic-id"] },
  "attachment list": { slots: ["topic-id"] },
  "attachment add": {
    command: "attachment create",
    slots: ["topic-id", "value-json"],
    renamed: { "source-message-id": "source-message" }
  },
  search: { slots: ["query"], added: { in: "messages", limit: "50" } },
  listen: { slots: ["topic-id"], renamed: { format: "" } }
}

/** Flags that v1 shares with today's commands, and that have a value. */
const valued = [
  "workspace",
  "limit",
  "offset",
  "sender",
  "actor",
  "expected-version",
  "mode",
  "kind",
  "key",
  "dedupe-key",
  "since",
  "until",
  "channel",
  "topic",
  "in"
]

const longNames: Readonly<Record<string, string>> = { w: "workspace", n: "limit", q: "query" }

export interface Rewritten {
  readonly args: ReadonlyArray<string>
  /** Whether they were v1's. Then text from stdin keeps its final newline. */
  readonly isV1: boolean
}

/** The name and value of `--name`, `--name=value` or `-n`. */
const flagIn = (arg: string): readonly [name: string, value: string | undefined] | undefined => {
  const [, dashes, text = "", , value] = /^(--?)([^=]+)(=(.*))?$/s.exec(arg) ?? []
  if (dashes === undefined) return undefined
  return [dashes === "-" ? (longNames[text] ?? "") : text, value]
}

/** The words of the command: arguments before the first flag that is not global, and after global flags. */
const commandIn = (
  args: ReadonlyArray<string>
): readonly [name: string, rest: ReadonlyArray<string>] | undefined => {
  const words: Array<string> = []
  const rest: Array<string> = []
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? ""
    if (!arg.startsWith("-")) words.push(arg)
    else rest.push(arg)
    if (arg === "--workspace" || arg === "-w") rest.push(args[++at] ?? "")
    const name = words.join(" ")
    if (Object.hasOwn(forms, name)) return [name, [...rest, ...args.slice(at + 1)]]
    if (words.length === 2) return undefined
  }
  return undefined
}

/**
 * Rewrites arguments of v1. Others are returned unchanged.
 *
 * @example
 * ```ts
 * fromV1(["msg", "tail", "--topic-id", "topic_1"]).args // ["msg", "tail", "--", "topic_1"]
 * ```
 */
export const fromV1 = (args: ReadonlyArray<string>): Rewritten => {
  const unchanged = { args, isV1: false }
  const found = commandIn(args)
  const form = found === undefined ? undefined : forms[found[0]]
  if (found === undefined || form === undefined) return unchanged
  const [name, rest] = found
  const { command = name, slots, renamed = {}, added = {} } = form

  let isV1 = command !== name
  const flags: Array<string> = []
  const own: Array<string> = []
  const given = new Map<string, Array<string>>()
  for (let at = 0; at < rest.length; at++) {
    const arg = rest[at] ?? ""
    if (arg === "--") {
      own.push(...rest.slice(at + 1))
      break
    }
    const flag = arg === "-" ? undefined : flagIn(arg)
    if (flag === undefined) {
      own.push(arg)
      continue
    }
    const [flagName, inline] = flag
    const isSlot = flagName !== "" && slots.includes(flagName)
    const isRenamed = Object.hasOwn(renamed, flagName)
    if (isSlot || isRenamed || valued.includes(flagName)) {
      const value = inline ?? rest[++at]
      isV1 ||= isSlot || isRenamed
      if (value === undefined) flags.push(arg)
      else if (isSlot) given.set(flagName, [...(given.get(flagName) ?? []), value])
      // With `=`, the value may start with a dash.
      else if (renamed[flagName] !== "") flags.push(`--${renamed[flagName] ?? flagName}=${value}`)
    } else if (flagName === "stdin" && slots.includes("content")) {
      isV1 = true
      given.set("content", ["-"])
    } else {
      flags.push(arg)
    }
  }
  if (!isV1) return unchanged

  for (const [flag, value] of Object.entries(added)) {
    if (!flags.some((given) => given.startsWith(`--${flag}=`))) flags.push(`--${flag}=${value}`)
  }
  const operands = slots.flatMap((slot) => given.get(slot) ?? own.splice(0, 1))
  return { args: [...command.split(" "), ...flags, "--", ...operands, ...own], isV1 }
}
