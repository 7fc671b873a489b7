/**
 * Keeps a topic's to-dos: `TODO: …`, `TODO(ana): …`, `- [ ] …` and `- [x] …` at the start of a line.
 * Runs as it is: plugins may use all of TypeScript, enums too.
 */
import { extractor } from "@agentlip/plugin-runtime/plugin"

// @ts-expect-error -- this repository's own code keeps to erasable syntax; a plugin of yours need not
enum State {
  Open = "open",
  Done = "done"
}

const todo =
  /^[ \t]*(?:[-*][ \t]+\[(?<box>[ xX])\]|TODO(?:\(@?(?<owner>[\w-]{1,100})\))?:)[ \t]+(?<text>\S.*)$/gm

const maxTodos = 100
const maxLength = 500

export default extractor({
  name: "todos",
  version: "1.0.0",
  extract: ({ message }) =>
    message.content_raw
      .matchAll(todo)
      .take(maxTodos)
      .map(({ groups }) => {
        const text = (groups?.["text"] ?? "").trim().slice(0, maxLength)
        const owner = groups?.["owner"]
        const state = groups?.["box"]?.toLowerCase() === "x" ? State.Done : State.Open
        return {
          kind: "todo",
          value_json: { text, state, ...(owner === undefined ? {} : { owner }) },
          dedupe_key: text.toLowerCase()
        }
      })
      .toArray()
})
