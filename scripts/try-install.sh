#!/bin/sh
# Uses the hub as somebody would who has never seen this repository: the packed hub installed into an empty folder
# elsewhere, then init, npm test, up, post, listen, plugin run, down. Once on Node, and once on Bun if AGENTLIP_TEST_BUN names it.
#
#   scripts/try-install.sh
set -eu
cd "$(dirname "$0")/.."
root=$PWD
# The Node that npm ci has brought; an older one may be on the PATH.
node=$root/node_modules/node/bin/node
bun=${AGENTLIP_TEST_BUN:-}

folder=$(mktemp -d "${TMPDIR:-/tmp}/try-install.XXXXXX")
agentlip() { "$runtime" "$folder/app/node_modules/.bin/agentlip" "$@"; }
stop() { agentlip down --workspace "$folder/chat" >/dev/null 2>&1 || true; rm -rf "$folder"; }
runtime=$node
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

npm run --silent pack:all
mkdir "$folder/app"
cd "$folder/app"
echo '{ "private": true }' >package.json
npm install --silent --no-audit --no-fund "$root"/packages/agentlip-hub-*.tgz
echo "installed: $(ls node_modules | tr '\n' ' ')"

# fails NAME COMMAND…: the command must fail and say NAME.
says() {
  wanted=$1
  shift
  "$@" >"$folder/said" 2>&1 || true
  grep -q -- "$wanted" "$folder/said" || { echo "expected \"$wanted\" of: $*"; cat "$folder/said"; exit 1; }
}

# A Node that is too old is told which one is needed, in one line.
if command -v node >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0] < 24')" = true ]; then
  says "agentlip needs Node" node "$folder/app/node_modules/.bin/agentlip" status
fi

journey() {
  rm -rf "$folder/chat"
  mkdir "$folder/chat"
  cd "$folder/chat"
  says "agentlip v" agentlip --version
  agentlip init >/dev/null
  npm install --silent --no-audit --no-fund --save-dev "$root"/packages/agentlip-hub-*.tgz "$root"/packages/agentlip-plugin-runtime-*.tgz
  npm test --silent >test.log || { cat test.log; exit 1; }
  npx --no-install tsc || { echo "the types of a new workspace are wrong"; exit 1; }
  # A plugin that the hub brings along, in a workspace that has installed nothing.
  sed -i.bak 's|^  linkifiers: \[|&\n    { name: "urls", modulePath: "@agentlip/plugins/url-linkifier" },|' agentlip.config.ts
  agentlip plugin check
  agentlip plugin run plugins/hashtags.ts --text "Ready for #release"
  agentlip up >up.log 2>&1 &
  hub=$!
  for _ in $(seq 1 150); do
    grep -q "hashtags 1" up.log && break
    kill -0 "$hub" 2>/dev/null || { cat up.log; exit 1; }
    sleep 0.2
  done
  agentlip channel create general >/dev/null
  agentlip topic create general hello >/dev/null
  agentlip msg send general/hello "Ready for #release: https://example.com/notes" >/dev/null
  for _ in $(seq 1 50); do
    timeout 2 "$runtime" "$folder/app/node_modules/.bin/agentlip" listen --since 0 --json >events 2>/dev/null || true
    [ "$(grep -c '"message.enriched"' events)" -ge 2 ] && break
  done
  grep '"message.enriched"' events | grep -q '"hashtag"'
  grep '"message.enriched"' events | grep -q 'example.com/notes'
  # The console comes with the package: the page and the files that it names.
  "$node" --input-type=module -e '
    const { url } = JSON.parse(process.argv[1])
    const page = await (await fetch(new URL("/", url))).text()
    const files = [...page.matchAll(/"(\/console\/[^"]+)"/g)].map(([, file]) => file)
    if (files.length !== 3) throw new Error(`no console: ${page}`)
    for (const file of files) if (!(await fetch(new URL(file, url))).ok) throw new Error(`no ${file}`)
  ' "$(agentlip open --no-browser --json)"
  says '"state": *"closed"\|closed' agentlip status
  agentlip down
  wait "$hub"
  cd "$folder"
}

journey
echo "ran on Node $("$node" --version)"
if [ -n "$bun" ]; then
  # Plugins run in processes of Node, which is found on the PATH.
  PATH="$(dirname "$node"):$PATH"
  runtime=$bun
  journey
  echo "ran on Bun $("$bun" --version)"
fi
