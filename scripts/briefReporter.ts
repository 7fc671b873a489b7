/**
 * Vitest's results for whoever sees but the end of a long log: a line per file, and last of all what failed and
 * where, in at most forty lines.
 */
import type { SerializedError } from "vitest"
import type { Reporter, TestCase, TestModule } from "vitest/node"

/** Lines for all of what failed; each failure has an equal share, and two at the least. */
const mostLines = 36
const mostOfLine = 240

interface Failure {
  readonly where: string
  readonly errors: ReadonlyArray<SerializedError>
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`

const root = `${process.cwd()}/`
const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g")

/** The places come before the diff: that may be cut. */
const linesOf = ({ name, message, stacks, stack, diff }: SerializedError): Array<string> => {
  const places = (stacks ?? [])
    .filter(({ file }) => !file.includes("node_modules"))
    .slice(0, 2)
    .map(({ file, line, column }) => `at ${file.replace(root, "")}:${line}:${column}`)
  return [
    ...`${name ?? "Error"}: ${message}`.split("\n").slice(0, 4),
    ...(places.length > 0 ? places : (stack ?? "").split("\n").slice(1, 4)),
    // Of a diff what differs, without its legend.
    ...(typeof diff === "string" ? diff.replace(colours, "").split("\n") : []).filter((line) =>
      /^[-+] (?!Expected$|Received$)/.test(line)
    )
  ]
    .filter((line) => line.trim() !== "")
    .map((line) => `    ${line.slice(0, mostOfLine)}`)
}

const count = (module: TestModule, state: "passed" | "failed" | "skipped"): number =>
  [...module.children.allTests(state)].length

/** Of a file, its blocks (whose hooks can fail) and its tests. */
const failuresOf = (module: TestModule): Array<Failure> => {
  const found = [
    { name: "", errors: module.errors() },
    ...[...module.children.allSuites()].map((suite) => ({ name: suite.fullName, errors: suite.errors() })),
    ...[...module.children.allTests("failed")].map((test) => ({
      name: test.fullName,
      errors: test.result().errors ?? []
    }))
  ].filter(({ errors }) => errors.length > 0)
  // Its process has ended, perhaps, and said no more.
  if (found.length === 0 && !module.ok())
    return [{ where: `${module.relativeModuleId}: ${module.state()}`, errors: [] }]
  return found.map(({ name, errors }) => ({ where: `${module.relativeModuleId} > ${name}`, errors }))
}

const firstError = (test: TestCase): string => (test.result().errors?.[0]?.message ?? "").slice(0, mostOfLine)

/** With `--retry`, tests that failed before they passed: of each something is wrong, if only its patience. */
const againOf = (module: TestModule): Array<TestCase> =>
  [...module.children.allTests("passed")].filter((test) => test.diagnostic()?.flaky === true)

export default class implements Reporter {
  readonly #start = performance.now()

  onTestModuleEnd(module: TestModule): void {
    const { duration, collectDuration, prepareDuration, setupDuration } = module.diagnostic()
    const parts = [
      `${count(module, "passed")} passed`,
      ...(["failed", "skipped"] as const).flatMap((state) => {
        const tests = count(module, state)
        return tests === 0 ? [] : [`${tests} ${state}`]
      }),
      seconds(duration + collectDuration + prepareDuration + setupDuration)
    ]
    say(`${module.ok() ? "ok" : "!!"} ${module.relativeModuleId}: ${parts.join(", ")}`)
    // Said at once, too: a run that is cut off never comes to its end.
    for (const test of module.children.allTests("failed")) {
      say(`   ${test.fullName}: ${firstError(test)}`)
    }
    for (const test of againOf(module))
      say(`   passed at a second try: ${test.fullName}: ${firstError(test)}`)
  }

  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandled: ReadonlyArray<SerializedError>): void {
    const failures = [
      ...unhandled.map((error): Failure => ({ where: "outside of any test", errors: [error] })),
      ...modules.flatMap(failuresOf)
    ]
    const share = Math.max(2, Math.floor(mostLines / Math.max(1, failures.length)))
    const shown = failures.slice(0, mostLines / 2)
    for (const { where, errors } of shown) {
      for (const line of [`FAIL ${where}`, ...errors.flatMap(linesOf)].slice(0, share)) say(line)
    }
    if (failures.length > shown.length) say(`and ${failures.length - shown.length} more failures`)
    const all = (["passed", "failed", "skipped"] as const).map(
      (state) => `${modules.reduce((sum, module) => sum + count(module, state), 0)} ${state}`
    )
    const again = modules.flatMap(againOf)
    for (const test of again)
      say(`AGAIN ${test.module.relativeModuleId} > ${test.fullName}: ${firstError(test)}`)
    say(
      `tests: ${all.join(", ")}${again.length > 0 ? ` (${again.length} at a second try)` : ""}; ${modules.length} files, ${seconds(performance.now() - this.#start)}`
    )
  }
}
