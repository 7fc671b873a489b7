/** What this browser remembers of this hub. A browser may refuse to store anything. */
const nameOf = (name: string): string => `agentlip.${name}`

/** True for the key of an event of the storage. */
export const isNamed = (key: string | null, name: string): boolean => key === nameOf(name)

export const recall = (name: string): string | undefined => {
  try {
    return localStorage.getItem(nameOf(name)) ?? undefined
  } catch {
    // Storage is switched off.
    return undefined
  }
}

export const remember = (name: string, value: string): void => {
  try {
    localStorage.setItem(nameOf(name), value)
  } catch {
    // Storage is full or switched off.
  }
}

export const forget = (name: string): void => {
  try {
    localStorage.removeItem(nameOf(name))
  } catch {
    // Storage is switched off.
  }
}
