#!/bin/sh
# Uses the package as a stranger would: packed, installed from the tarball into a new project elsewhere, with
# the README's own example and plugin. Fails unless they type-check, strictly, and print what the README says.
#
#   scripts/try-package.sh
set -eu
cd "$(dirname "$0")/.."
root=$PWD

# Started by hand there may be an older Node on the PATH; npm ci has brought the right one.
PATH="$root/node_modules/.bin:$PATH"
export PATH

project=$(mktemp -d "${TMPDIR:-/tmp}/try-package.XXXXXX")
trap 'rm -rf "$project"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

version() { node -p "require('./package.json').devDependencies['$1']"; }

npm run --silent build
npm pack --silent --ignore-scripts --pack-destination "$project" >/dev/null
effect=$(version effect)
types=$(version @types/node)
node test/support/examples.ts README.md "$project"

cd "$project"
cat >package.json <<'JSON'
{ "name": "a-hub", "private": true, "type": "module" }
JSON
# No skipLibCheck: the package's own declarations are on trial. Effect's need a type of the DOM's.
cat >tsconfig.json <<'JSON'
{
  "compilerOptions": {
    "target": "es2024",
    "lib": ["es2024", "esnext.iterator", "dom"],
    "module": "nodenext",
    "types": ["node"],
    "strict": true,
    "exactOptionalPropertyTypes": true,
    "noUncheckedIndexedAccess": true,
    "erasableSyntaxOnly": true,
    "noEmit": true
  }
}
JSON
npm install --silent --no-audit --no-fund ./*.tgz "effect@$effect" "@types/node@$types"

echo "installed: $(ls node_modules | tr '\n' ' ')"
tsc
echo "type-checked: $(find . -name '*.ts' -not -path './node_modules/*' | sort | tr '\n' ' ')"

for output in *.ts.txt; do
  example=${output%.txt}
  node "$example" >printed
  diff "$output" printed
  echo "ran: $example"
  cat printed
done
