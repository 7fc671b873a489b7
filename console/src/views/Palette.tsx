/** Goes anywhere by a few letters: views, topics, plugins. */
import { useEffect, useMemo, useState } from "preact/hooks"
import { go, pathOf } from "../route.ts"
import { hub } from "../session.ts"
import { channelOf, channels, needTopics, topics } from "../state/directory.ts"
import { plain } from "../text/characters.ts"
import { Dialog } from "./Dialog.tsx"
import { tabs } from "./tabs.ts"

interface Place {
  readonly title: string
  readonly what: string
  readonly path: string
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

const usePlugins = (): ReadonlyArray<Place> => {
  const [names, setNames] = useState<ReadonlyArray<string>>([])
  useEffect(() => {
    hub.plugins().then(
      ({ plugins }) => setNames(plugins.map(({ name }) => name)),
      () => setNames([])
    )
  }, [])
  return names.map((name) => ({ title: plain(name), what: "plugin", path: pathOf.plugin(name) }))
}

export const Palette = ({ onClose }: { readonly onClose: () => void }) => {
  const [letters, setLetters] = useState("")
  const [chosen, choose] = useState(0)
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
  const open = (place: Place | undefined): void => {
    if (place === undefined) return
    onClose()
    go(place.path)
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
            key={place.path}
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
      {shown.length === 0 && <p class="quiet">Nothing has this name.</p>}
    </Dialog>
  )
}
