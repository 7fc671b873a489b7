/** The keys that the page knows. */
import { Dialog } from "./Dialog.tsx"

const keys: ReadonlyArray<readonly [string, string]> = [
  ["Ctrl K", "go to a topic, a plugin or a view, or run a command"],
  ["/", "search"],
  ["?", "this list"],
  ["c", "write a message"],
  ["j, ↓ and k, ↑", "next and previous message or result"],
  ["e", "edit the message that has the focus"],
  ["Enter", "post or save"],
  ["Shift Enter", "start a line"],
  ["Escape", "close, or stop editing"]
]

export const Keys = ({ onClose }: { readonly onClose: () => void }) => (
  <Dialog label="Keyboard" onClose={onClose}>
    <h2>Keyboard</h2>
    <table>
      <tbody>
        {keys.map(([key, what]) => (
          <tr key={key}>
            <th scope="row">
              <kbd>{key}</kbd>
            </th>
            <td>{what}</td>
          </tr>
        ))}
      </tbody>
    </table>
    <button type="button" onClick={onClose}>
      Close
    </button>
  </Dialog>
)
