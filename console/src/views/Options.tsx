/** The options of a `<select>`: texts, or values with their texts. */
export const Options = ({
  of
}: {
  readonly of: ReadonlyArray<string | readonly [value: string, text: string]>
}) => (
  <>
    {of.map((one) => {
      const [value, text] = typeof one === "string" ? [one, one] : one
      return (
        <option key={value} value={value}>
          {text}
        </option>
      )
    })}
  </>
)
