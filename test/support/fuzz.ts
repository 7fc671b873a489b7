/**
 * Fuzzing: values of a seed against something that must take whatever comes. `npm test` runs a few, always the same;
 * `npm run fuzz` sets another seed for each round, and more runs. A failure says its seed: FUZZ_SEED=… npm run fuzz.
 */
import { Arbitrary, Schema } from "effect"

/** The seed of this round. */
export const seed = Number(process.env["FUZZ_SEED"] ?? 1)

const factor = Number(process.env["FUZZ_FACTOR"] ?? 1)

/** Options of a property that is tried so many times in `npm test`. */
export const times = (runs: number) => ({
  arbitrary: { runs: runs * factor, seed, maxShrinks: 50 },
  timeout: 20_000 * factor
})

const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))

const places = 1_000_000

/** Changes of a text or of bytes: what is put in place of what, by parts of a million of its length. */
export const Edits = Arbitrary.array(
  Arbitrary.all({
    at: int(places),
    length: int(40),
    bytes: Arbitrary.array(int(255), { maxLength: 12 }),
    /** Whether it goes in as it is, or in place of one byte. */
    flip: int(1)
  }),
  { minLength: 1, maxLength: 6 }
)

/** The bytes with the edits made. */
export const edited = (
  bytes: Buffer,
  edits: ReadonlyArray<{
    readonly at: number
    readonly length: number
    readonly bytes: ReadonlyArray<number>
    readonly flip: number
  }>
): Buffer => {
  let now = bytes
  for (const { at, length, bytes, flip } of edits) {
    const from = Math.floor((at / places) * now.length)
    const put = Buffer.from(bytes)
    // Bytes that stay in number keep what is counted around them right.
    const to = Math.min(now.length, from + (flip === 1 ? put.length : length))
    now = Buffer.concat([now.subarray(0, from), put, now.subarray(to)])
  }
  return now
}
