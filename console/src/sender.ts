/** The name that this browser posts under. */
import { signal } from "@preact/signals"
import { access } from "./session.ts"
import { recall, remember } from "./storage.ts"

const chosen = signal(recall("sender"))

/** The chosen name, or that of the system's user. */
export const sender = (): string =>
  chosen.value ?? (access.value.state === "signed-in" ? access.value.user : "")

export const chooseSender = (name: string): void => {
  chosen.value = name
  remember("sender", name)
}
