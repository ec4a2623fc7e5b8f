# shellcheck shell=bash
# A PostgreSQL server of our own in the scratch directory, reached through a socket alone.

own_postgres=  # its directory: data, socket and log

# as_postgres COMMAND…: the server refuses to run as root.
as_postgres() {
    if is_root; then
        setpriv --reuid=postgres --regid=postgres --init-groups "$@"
    else
        "$@"
    fi
}

# own_psql ARGUMENT…: psql on it as its superuser, plain output.
own_psql() {
    "$(postgres_bin)/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$own_postgres" -U postgres "$@"
}

# make_own_postgres: a new, empty cluster, started; whatever was there is gone.
make_own_postgres() {
    own_postgres=$scratch/postgres
    mkdir -p "$own_postgres"
    ! is_root || chown postgres:postgres "$own_postgres"
    as_postgres env LC_ALL=C.UTF-8 "$(postgres_bin)/initdb" --auth=trust --username=postgres \
        --data-checksums --no-sync "$own_postgres/data" >"$scratch/initdb.log" 2>&1 ||
        fail "initdb: $(tail -n 1 "$scratch/initdb.log")"
    as_postgres "$(postgres_bin)/pg_ctl" -D "$own_postgres/data" -l "$own_postgres/log" -w \
        -o "-k '$own_postgres' -c listen_addresses='' -c fsync=off" start >/dev/null ||
        fail "PostgreSQL did not start: $(tail -n 1 "$own_postgres/log")"
}

# end_own_postgres: stops it, if it runs.
end_own_postgres() {
    [[ -s ${own_postgres:-/nowhere}/data/postmaster.pid ]] || return 0
    as_postgres "$(postgres_bin)/pg_ctl" -D "$own_postgres/data" -w -m immediate stop >/dev/null 2>&1
}
