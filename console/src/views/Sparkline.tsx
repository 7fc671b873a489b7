/** A small chart of how a number changed. */
const width = 120
const height = 24

export const Sparkline = ({
  values,
  label
}: {
  readonly values: ReadonlyArray<number>
  readonly label: string
}) => {
  const most = Math.max(1, ...values)
  const step = width / Math.max(1, values.length - 1)
  const points = values.map(
    (value, index) =>
      `${(index * step).toFixed(1)},${(height - 2 - (value / most) * (height - 4)).toFixed(1)}`
  )
  return (
    <svg
      class="sparkline"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${width} ${height}`}
      width={width}
      height={height}
    >
      <polyline points={points.join(" ")} />
    </svg>
  )
}
