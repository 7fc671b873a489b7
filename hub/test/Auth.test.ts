/** Which texts are the hub's token. */
import { assert, it } from "@effect/vitest"
import { Redacted } from "effect"
import { isToken } from "../src/http/Auth.ts"

it("only the whole token is the token, whatever its length", () => {
  const token = "0123456789abcdef".repeat(4)
  const isIt = (given: string): boolean => isToken(Redacted.make(token), given)
  assert.isTrue(isIt(token))
  const others = [
    "",
    token.slice(1),
    token.slice(0, -1),
    `${token}0`,
    `${token}\0`,
    `\0${token}`,
    token.toUpperCase(),
    "é".repeat(token.length / 2),
    token.repeat(100)
  ]
  for (const given of others) assert.isFalse(isIt(given), given)
})
