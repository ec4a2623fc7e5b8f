#!/bin/sh
# First process of the image dr-test/postgres: makes a cluster in PGDATA when there is none, as the
# official image does (a first server on a socket alone, then the real one), and becomes the server.
set -eu

data=${PGDATA:-/var/lib/postgresql/data}
user=${POSTGRES_USER:-postgres}

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" /run/postgresql
    chown -R postgres:postgres "$data" /run/postgresql
    chmod 700 "$data"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

case ${1:-postgres} in
-* | postgres) ;;
*) exec "$@" ;;
esac

if [ ! -s "$data/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD:-}
    [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(cat "$POSTGRES_PASSWORD_FILE")
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be set" >&2
        exit 1
    fi
    secret=$(mktemp)
    printf '%s\n' "$password" >"$secret"
    # shellcheck disable=SC2086  # options are many words
    initdb -D "$data" -U "$user" --auth-local=trust --auth-host=scram-sha-256 \
        ${password:+--pwfile="$secret"} ${POSTGRES_INITDB_ARGS:-}
    rm -f "$secret"
    echo "host all all all $method" >>"$data/pg_hba.conf"
    pg_ctl -D "$data" -w -o "-c listen_addresses=''" start
    name=${POSTGRES_DB:-$user}
    [ "$name" = postgres ] || createdb -U "$user" "$name"
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sql) psql -v ON_ERROR_STOP=1 -U "$user" -d "$name" -f "$file" ;;
        *.sh) sh "$file" ;;
        esac
    done
    pg_ctl -D "$data" -w -m fast stop
fi

[ "${1:-}" != postgres ] || shift
exec postgres -D "$data" -c listen_addresses='*' "$@"
