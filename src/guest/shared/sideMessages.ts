/** What a guest sends beside its replies: log lines, parts of a `fetch`, audit lines and its crash. */
import { encodeReply, noTag } from "../../wire/codec.ts"
import { type AuditLine, type LogLevel, ReplyType } from "../../wire/messages.ts"
import { quote } from "./describe.ts"

export const makeSideMessages = (post: (text: string) => void) => {
  let tag = noTag
  return {
    /** Sets the tag of the request that messages belong to from now on. */
    setTag: (next: string): void => {
      tag = next
    },
    log: (level: LogLevel, text: string): void =>
      post(encodeReply(ReplyType.log, tag, `{"level":"${level}","text":${quote(text)}}`)),
    net: (json: string): void => post(encodeReply(ReplyType.net, tag, json)),
    audit: ({ capability, what }: AuditLine): void =>
      post(encodeReply(ReplyType.audit, tag, `{"capability":"${capability}","what":${quote(what)}}`)),
    /** The isolate must end after this. */
    crashed: (reason: string): void => post(encodeReply(ReplyType.crashed, noTag, quote(reason)))
  }
}
