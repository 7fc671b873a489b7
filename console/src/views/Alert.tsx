/** Says at once, also to screen readers, why something that the reader did has failed. */
export const Alert = ({ text }: { readonly text: string | undefined }) =>
  text === undefined ? null : (
    <p class="problem" role="alert">
      {text}
    </p>
  )
