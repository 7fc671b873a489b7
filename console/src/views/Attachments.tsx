/** The facts that plugins and people attached to a topic. */
import type { Attachment } from "@agentlip/protocol"
import { pathOf } from "../route.ts"
import type { Thread } from "../state/Thread.ts"
import { addressIn } from "../text/links.ts"
import { Name, Visible } from "./Name.tsx"
import { PluginLink } from "./PluginLink.tsx"
import { Time } from "./Time.tsx"

const maxValue = 500

const Value = ({ value }: { readonly value: Attachment["value_json"] }) => {
  const address = addressIn(value)
  const title = typeof value["title"] === "string" ? value["title"] : undefined
  if (address !== undefined) {
    return (
      <p class="address">
        {title !== undefined && <Name text={title} />}{" "}
        <a href={address.href} target="_blank" rel="noopener noreferrer nofollow">
          <bdi dir="ltr">{address.href}</bdi>
        </a>
      </p>
    )
  }
  const text = JSON.stringify(value)
  return (
    <p class="value">
      <bdi>
        <Visible text={text.length > maxValue ? `${text.slice(0, maxValue)}…` : text} />
      </bdi>
    </p>
  )
}

export const Attachments = ({ thread }: { readonly thread: Thread }) => {
  const attachments = thread.attachments.all.value
  return (
    <aside class="attachments" aria-label="Attachments of this topic">
      <details open={matchMedia("(min-width: 70rem)").matches}>
        <summary>
          <h2>Attachments ({attachments.length})</h2>
        </summary>
        {attachments.length === 0 ? (
          <p class="quiet">
            Nothing yet. Extractor plugins attach facts, and so does <code>agentlip attachment create</code>.
          </p>
        ) : (
          <ul>
            {attachments.map(({ id, kind, value_json, source_message_id, created_at, finder }) => (
              <li key={id}>
                <h3>
                  <Name text={kind} />{" "}
                  <span class="quiet">
                    {source_message_id === null ? (
                      <Time iso={created_at} form="brief" />
                    ) : (
                      <a href={pathOf.message(thread.topic, source_message_id)}>
                        <span class="visually-hidden">Go to the message, </span>
                        <Time iso={created_at} form="brief" />
                      </a>
                    )}
                  </span>
                </h3>
                <Value value={value_json} />
                {finder !== undefined && (
                  <p class="quiet">
                    found by <PluginLink {...finder} />
                  </p>
                )}
              </li>
            ))}
          </ul>
        )}
      </details>
    </aside>
  )
}
