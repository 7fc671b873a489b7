/** Texts that people and plugins wrote. They are always text, and never change how the text around them is shown. */
import { nameOf, piecesOf } from "../text/characters.ts"

/** A text whose hidden characters show as their numbers. */
export const Visible = ({ text }: { readonly text: string }) => {
  const pieces = piecesOf(text)
  if (pieces.length === 1 && pieces[0]?.isHidden === false) return <>{text}</>
  return (
    <>
      {pieces.map(({ text, isHidden }) =>
        isHidden ? <span class="hidden-character">{nameOf(text)}</span> : text
      )}
    </>
  )
}

/** A name or title on a line of its own or within a sentence. */
export const Name = ({ text }: { readonly text: string }) => (
  <bdi class="name">
    <Visible text={text} />
  </bdi>
)
