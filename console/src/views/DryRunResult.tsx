/** What came of a dry run: what was found in the text, or why it failed; the log and the times. */
import type { DryRun, Enrichment } from "@agentlip/protocol"
import { LogLines } from "./LogLines.tsx"
import { Name, Visible } from "./Name.tsx"
import { Problem } from "./Problem.tsx"
import { Text } from "./Text.tsx"
import { durationText } from "./Time.tsx"

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? "" : "s"}`

const summaryOf = ({ plugin, error, enrichments, attachments }: DryRun): string => {
  if (error !== null) return `${error.code.replaceAll("_", " ").toLowerCase()}`
  return plugin.kind === "extractor"
    ? `${counted(attachments.length, "attachment")}`
    : `${counted(enrichments.length, "enrichment")}`
}

const rightsOf = ({ plugin: { isolation, enforcement, grants, is_configured } }: DryRun): string => {
  const granted = Object.entries(grants).flatMap(([what, all]) => all.map((one) => `${what} ${one}`))
  const audit = enforcement === "audit" ? ", audit" : ""
  const rights = `${isolation}${audit}, ${granted.length === 0 ? "no grants" : granted.join(", ")}`
  return is_configured ? rights : `${rights}; not in the config file, so with the default settings`
}

const Times = ({ result: { load_ms, queue_ms, run_ms } }: { readonly result: DryRun }) => (
  <p class="quiet">
    {[
      ...(load_ms === null ? ["not loaded"] : [`loaded in ${durationText(load_ms)}`]),
      ...(queue_ms === null ? [] : [`waited ${durationText(queue_ms)}`]),
      ...(run_ms === null ? [] : [`ran ${durationText(run_ms)}`])
    ].join(", ")}
  </p>
)

/** As the findings of a message, so that they are shown as in a message. */
const asFindings = ({ plugin, enrichments }: DryRun, now: string): ReadonlyArray<Enrichment> =>
  enrichments.map((one, index) => ({
    ...one,
    id: String(index),
    message_id: "",
    plugin_name: plugin.name,
    plugin_version: plugin.version,
    created_at: now
  }))

const Output = ({ output }: { readonly output: ReadonlyArray<unknown> }) =>
  output.length === 0 ? null : (
    <details>
      <summary>Output as JSON</summary>
      <pre dir="ltr" tabIndex={0} aria-label="Output">
        <Visible text={JSON.stringify(output, null, 2)} />
      </pre>
    </details>
  )

export const DryRunResult = ({ text, result }: { readonly text: string; readonly result: DryRun }) => {
  const { plugin, error, attachments, enrichments, logs, logs_left_out, audit_snippet } = result
  const lines = logs.length + logs_left_out
  return (
    <div class="dry-run">
      <h2>
        <span class={`dot ${error === null ? "ok" : "failed"}`} aria-hidden="true" />{" "}
        <Name text={plugin.name} />
        {plugin.version !== null && (
          <>
            {" "}
            <span class="quiet">
              <Name text={plugin.version} />
            </span>
          </>
        )}
        : {summaryOf(result)}
      </h2>
      <p class="quiet">
        <Visible text={rightsOf(result)} />
      </p>
      <Times result={result} />
      {error !== null && <Problem problem={error} />}
      {error === null && plugin.kind !== "extractor" && (
        <div class="tried">
          <Text text={text} enrichments={asFindings(result, new Date().toISOString())} />
        </div>
      )}
      {attachments.length > 0 && (
        <ul class="list">
          {attachments.map(({ kind, key, value_json }, index) => (
            <li key={index}>
              <strong>
                <Name text={kind} />
              </strong>{" "}
              {key !== undefined && (
                <span class="quiet">
                  key <Name text={key} />{" "}
                </span>
              )}
              <code>
                <bdi>
                  <Visible text={JSON.stringify(value_json)} />
                </bdi>
              </code>
            </li>
          ))}
        </ul>
      )}
      <Output output={plugin.kind === "extractor" ? attachments : enrichments} />
      <h3>Log</h3>
      {lines === 0 ? (
        <p class="quiet">It logged nothing.</p>
      ) : (
        <LogLines lines={logs} leftOut={logs_left_out} />
      )}
      {audit_snippet !== "" && (
        <>
          <p>To run without audit, write in its entry of the config file:</p>
          <pre>
            <Visible text={audit_snippet} />
          </pre>
        </>
      )}
    </div>
  )
}
