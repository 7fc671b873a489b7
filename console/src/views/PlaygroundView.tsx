/** Tries a plugin on a text: a run in a new isolate, and nothing is posted. */
import type { DryRun } from "@agentlip/protocol"
import { useEffect, useId, useState } from "preact/hooks"
import { go, pathOf } from "../route.ts"
import { changing, hub, isSignedIn, textOf } from "../session.ts"
import { recall, remember } from "../storage.ts"
import { DryRunResult } from "./DryRunResult.tsx"
import { usePolled } from "./usePolled.ts"
import { Options } from "./Options.tsx"

const sample = "Write a text that the plugin should find something in, such as OPS-42 or https://example.com"

/** The choice that names a file. No plugin has this name: names are not blank. */
const aFile = ""

type State =
  | { readonly state: "idle" }
  | { readonly state: "running" }
  | { readonly state: "done"; readonly text: string; readonly result: DryRun }
  | { readonly state: "failed"; readonly problem: string }

/** The text of a message that a link names, else the text that was tried last. */
const useText = (message: string | undefined) => {
  const [text, setText] = useState(recall("playground") ?? "")
  useEffect(() => {
    if (message === undefined) return
    hub.message({ params: { id: message } }).then(
      ({ message: { content_raw } }) => setText(content_raw),
      () => {}
    )
  }, [message])
  return [text, setText] as const
}

export const PlaygroundView = ({
  plugin,
  message
}: {
  readonly plugin: string | undefined
  readonly message: string | undefined
}) => {
  const plugins = usePolled(() => hub.plugins(), "playground", 10_000).value?.plugins
  const names = plugins?.map(({ name }) => name) ?? []
  const [file, setFile] = useState(recall("playground.file") ?? "./plugins/")
  const [text, setText] = useText(message)
  const [state, setState] = useState<State>({ state: "idle" })
  const id = useId()
  const chosen = plugin ?? names[0] ?? aFile
  const start = (): void => {
    if (state.state === "running") return
    setState({ state: "running" })
    remember("playground", text)
    remember("playground.file", file)
    const payload = { text, ...(chosen === aFile ? { module_path: file.trim() } : { plugin: chosen }) }
    changing(() => hub.dryRun({ payload })).then(
      (result) => setState({ state: "done", text, result }),
      (error) => setState({ state: "failed", problem: textOf(error) })
    )
  }
  return (
    <section class="page playground" aria-labelledby="view-title">
      <h1 id="view-title" tabIndex={-1}>
        Playground
      </h1>
      <p class="quiet">
        Runs a plugin on a text, in a new isolate, with its files as they are now. Nothing is posted, and its
        circuit and counts stay as they are.
      </p>
      {!isSignedIn() ? (
        <p class="notice">
          To try plugins, sign in: run <code>agentlip open</code> in a terminal.
        </p>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            start()
          }}
        >
          <div class="row">
            <label for={`${id}-plugin`}>Plugin</label>
            <select
              id={`${id}-plugin`}
              value={chosen}
              onChange={(event) => {
                const { value } = event.currentTarget
                go(value === aFile ? pathOf.playgroundFile : pathOf.playground(value), { replace: true })
              }}
            >
              {plugin !== undefined && plugin !== aFile && !names.includes(plugin) && (
                <option value={plugin}>{plugin}</option>
              )}
              <Options of={names} />
              <option value={aFile}>a file of the workspace…</option>
            </select>
            {chosen === aFile && (
              <input
                class="file"
                aria-label="Path of the plugin's module in the workspace"
                dir="ltr"
                spellcheck={false}
                placeholder="./plugins/tickets.ts"
                value={file}
                onInput={(event) => setFile(event.currentTarget.value)}
              />
            )}
          </div>
          <textarea
            aria-label="Text"
            dir="auto"
            rows={5}
            placeholder={sample}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) start()
            }}
          />
          <div class="row">
            <button type="submit" class="primary" disabled={state.state === "running"}>
              {state.state === "running" ? "Running…" : "Run"}
            </button>
            <span class="quiet">Ctrl-Enter</span>
          </div>
        </form>
      )}
      <div role="status">
        {state.state === "failed" && <p class="problem">{state.problem}</p>}
        {state.state === "done" && <DryRunResult text={state.text} result={state.result} />}
      </div>
    </section>
  )
}
