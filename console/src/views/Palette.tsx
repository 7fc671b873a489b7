/** Goes anywhere by a few letters: views, topics, plugins. Does what buttons do, too. */
import type { PluginSummary } from "@agentlip/protocol"
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks"
import { go, pathOf } from "../route.ts"
import { changing, hub, isSignedIn, textOf } from "../session.ts"
import { channelOf, channels, needTopics, topics } from "../state/directory.ts"
import { plain } from "../text/characters.ts"
import { Alert } from "./Alert.tsx"
import { Dialog } from "./Dialog.tsx"
import { tabs } from "./tabs.ts"

interface Place {
  readonly title: string
  readonly what: string
  /** Where it leads, also after `run`. */
  readonly path: string
  readonly run?: () => Promise<unknown>
}

const maxShown = 12

/** True if the letters occur in this order. */
const matches = (text: string, letters: string): boolean => {
  let at = 0
  const lower = text.toLowerCase()
  for (const letter of letters.toLowerCase()) {
    if (letter === " ") continue
    const found = lower.indexOf(letter, at)
    if (found === -1) return false
    at = found + letter.length
  }
  return true
}

/** Whole words first, then letters in order. */
const rank = ({ title }: Place, letters: string): number =>
  title.toLowerCase().includes(letters.toLowerCase()) ? 0 : 1

/** What can be done with a plugin, by its state. */
const commandOf = ({ name, circuit }: PluginSummary): Place => {
  const params = { name }
  const what = { what: "command", path: pathOf.plugin(name) }
  return circuit.state === "closed"
    ? { ...what, title: `Pause ${plain(name)}`, run: () => hub.trip({ params }) }
    : { ...what, title: `Close the circuit of ${plain(name)}`, run: () => hub.reset({ params }) }
}

const retry: Place = {
  title: "Retry failed jobs",
  what: "command",
  path: "/ui/jobs",
  run: () => hub.retry({ payload: {} })
}

const usePlugins = (): ReadonlyArray<Place> => {
  const [plugins, setPlugins] = useState<ReadonlyArray<PluginSummary>>([])
  useEffect(() => {
    hub.plugins().then(
      ({ plugins }) => setPlugins(plugins),
      () => setPlugins([])
    )
  }, [])
  return useMemo(
    () => [
      ...plugins.map(({ name }) => ({ title: plain(name), what: "plugin", path: pathOf.plugin(name) })),
      ...(isSignedIn() ? [retry, ...plugins.map(commandOf)] : [])
    ],
    [plugins]
  )
}

export const Palette = ({ onClose }: { readonly onClose: () => void }) => {
  const [letters, setLetters] = useState("")
  const [chosen, choose] = useState(0)
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const plugins = usePlugins()
  useEffect(() => {
    for (const { id } of channels.value) needTopics(id)
  }, [])
  const places = useMemo(
    (): ReadonlyArray<Place> => [
      ...tabs.map(({ title, path }) => ({ title, what: "view", path })),
      ...[...topics.value.values()]
        .sort((one, other) => (one.updated_at < other.updated_at ? 1 : -1))
        .map(({ id, title, channel_id }) => ({
          title: plain(`${channelOf(channel_id)?.name ?? ""} / ${title}`),
          what: "topic",
          path: pathOf.topic(id)
        })),
      ...plugins
    ],
    [topics.value, plugins]
  )
  const shown = places
    .filter(({ title }) => matches(title, letters))
    .sort((one, other) => rank(one, letters) - rank(other, letters))
    .slice(0, maxShown)
  const at = Math.min(chosen, Math.max(0, shown.length - 1))
  const isRunning = useRef(false)
  const isClosed = useRef(false)
  useLayoutEffect(() => () => void (isClosed.current = true), [])
  const open = (place: Place | undefined): void => {
    if (place === undefined || isRunning.current) return
    const { path, run } = place
    const leave = (): void => {
      // A command that ends after Escape leads nowhere.
      if (isClosed.current) return
      onClose()
      go(path)
    }
    if (run === undefined) return leave()
    isRunning.current = true
    setProblem(undefined)
    changing(run).then(leave, (error) => {
      isRunning.current = false
      setProblem(textOf(error))
    })
  }
  return (
    <Dialog label="Go to" onClose={onClose}>
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-places"
        aria-activedescendant={shown.length === 0 ? undefined : `palette-${at}`}
        aria-label="Go to a topic, a plugin or a view"
        placeholder="Go to a topic, a plugin or a view"
        dir="auto"
        value={letters}
        onInput={(event) => {
          setLetters(event.currentTarget.value)
          choose(0)
        }}
        onKeyDown={(event) => {
          if (event.isComposing) return
          const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0
          if (by !== 0) {
            event.preventDefault()
            choose((at + by + shown.length) % Math.max(1, shown.length))
          }
          if (event.key === "Enter") open(shown[at])
        }}
      />
      <ul id="palette-places" role="listbox" aria-label="Places">
        {shown.map((place, index) => (
          <li
            key={`${place.what} ${place.title} ${place.path}`}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === at}
            onPointerMove={() => choose(index)}
            onClick={() => open(place)}
          >
            <bdi>{place.title}</bdi> <span class="quiet">{place.what}</span>
          </li>
        ))}
      </ul>
      <Alert text={problem} />
      {shown.length === 0 && <p class="quiet">Nothing has this name.</p>}
    </Dialog>
  )
}
