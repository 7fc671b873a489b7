/** What is measured: the names that suites, budgets and recorded runs share. */
export const tables = {
  warm: "warm, 64 callers, one worker",
  oneCaller: "warm, one caller, p50",
  oneCallerTail: "warm, one caller, p99",
  fresh: "a fresh isolate a run, spare ready, p50",
  freshMany: "a fresh isolate a run, 4 callers without a pause",
  kill: "a spinning plugin: deadline -> isolate gone, p95",
  killMedian: "a spinning plugin: deadline -> isolate gone, p50",
  besideKill: "another plugin's p99, one caller",
  loopDelay: "the host's event-loop delay, p99",
  derived: "posted -> derived and committed, 3 plugins",
  posts: "POST /messages, 16 clients",
  postsTail: "POST /messages, p99",
  soakHeap: "soak: the host's heap, growth",
  soakResident: "soak: the host's resident memory, growth",
  soakReadings: "soak: memory by run",
  idle: "memory of an idle isolate (PSS)",
  plugins: "plugins, 64 callers in all",
  pluginsMemory: "plugins: resident memory of the host",
  stages: "stages of a run on the host's main thread",
  hot: "a hot plugin's p99, one caller"
} as const
