/** The code and the message of an error. */
import { Visible } from "./Name.tsx"

export const ErrorText = ({
  error
}: {
  readonly error: { readonly code: string; readonly message: string }
}) => (
  <p class="problem">
    <code>{error.code}</code>{" "}
    <bdi>
      <Visible text={error.message} />
    </bdi>
  </p>
)
