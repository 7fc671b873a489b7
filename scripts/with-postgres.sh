#!/bin/sh
# Runs a command beside a throw-away PostgreSQL and removes it afterwards, whatever the command's end.
#
#   scripts/with-postgres.sh npx vitest run test/Staleness.test.ts
#
# The command finds the server in AGENTLIP_TEST_POSTGRES. Needs PostgreSQL's own programs (Debian:
# postgresql); nothing of an installed cluster is touched. As root, the server runs as another user, because
# it refuses to run as root: AGENTLIP_POSTGRES_USER, or "postgres".
set -eu

if [ $# -eq 0 ]; then
  echo "usage: $0 COMMAND [ARGUMENT...]" >&2
  exit 64
fi

# Debian keeps the programs off the PATH, one folder a version.
bin=""
if command -v initdb >/dev/null 2>&1; then
  bin=$(dirname "$(command -v initdb)")
else
  for folder in $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V); do
    [ -x "$folder/initdb" ] && bin=$folder
  done
fi
if [ -z "$bin" ]; then
  echo "$0: PostgreSQL's initdb was not found; install it (Debian: apt-get install postgresql)" >&2
  exit 69
fi

home=$(mktemp -d "${TMPDIR:-/tmp}/postgres.XXXXXX")

if [ "$(id -u)" -eq 0 ]; then
  owner=${AGENTLIP_POSTGRES_USER:-postgres}
  chown "$owner" "$home"
  # From its own folder, because the caller's may be closed to that user.
  as_owner() { (cd "$home" && setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups "$@"); }
else
  as_owner() { (cd "$home" && "$@"); }
fi

stop() {
  status=$?
  trap - EXIT HUP INT TERM
  as_owner "$bin/pg_ctl" -D "$home/data" -m immediate -s stop >/dev/null 2>&1 || true
  rm -rf "$home"
  exit "$status"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# A socket in a folder that is closed to everybody else needs no port and no password.
as_owner "$bin/initdb" -D "$home/data" -U agentlip -A trust -E UTF8 --locale=C --no-sync >"$home/log" 2>&1 &&
  as_owner "$bin/pg_ctl" -D "$home/data" -l "$home/server.log" -w -s start \
    -o "-k $home -c listen_addresses='' -c fsync=off -c max_connections=200" || {
  status=$?
  cat "$home/log" "$home/server.log" >&2 2>/dev/null || true
  exit "$status"
}

AGENTLIP_TEST_POSTGRES="postgres://agentlip@localhost/postgres?host=$home" "$@"
