/** Times in the reader's own zone and language. */
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" })
const exactTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit"
})
const day = new Intl.DateTimeFormat(undefined, {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric"
})
const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" })
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" })

/** Formatting is slow, and a list asks for the day of each of its messages whenever it is drawn. */
const days = new Map<string, string>()
const maxDays = 5_000

export const dayOf = (iso: string): string => {
  // No time zone changes within a minute.
  const minute = iso.slice(0, 16)
  const known = days.get(minute)
  if (known !== undefined) return known
  if (days.size >= maxDays) days.clear()
  const formatted = day.format(new Date(iso))
  days.set(minute, formatted)
  return formatted
}

interface Props {
  readonly iso: string
  /** `brief`: the time today, else the day. */
  readonly form?: "time" | "exact" | "brief"
}

const formatted = (date: Date, form: Props["form"]): string => {
  if (form === "exact") return exactTime.format(date)
  return form === "brief" && date.toDateString() !== new Date().toDateString()
    ? short.format(date)
    : time.format(date)
}

export const Time = ({ iso, form = "time" }: Props) => {
  const date = new Date(iso)
  return (
    <time dateTime={iso} title={whole.format(date)}>
      {formatted(date, form)}
    </time>
  )
}

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000]
] as const

/** A duration in its largest unit: `3 h`, `12 ms`. */
export const durationText = (millis: number): string => {
  const [unit, size] = units.find(([, size]) => millis >= size) ?? ["ms", 1]
  const value = millis / size
  return `${value < 10 && unit !== "d" ? Number(value.toFixed(value < 1 ? 2 : 1)) : Math.round(value)} ${unit}`
}
