# shellcheck shell=bash
# PostgreSQL for tests: the newest installed server's programs, and images that run one.

postgres_image=          # the image that tests use; empty when there is none
postgres_image_missing=  # why there is none
other_postgres_image=    # one of another major version; empty when there is none

# postgres_bin: the directory of the newest installed server's programs.
postgres_bin() {
    local directory newest=
    for directory in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V); do
        [[ ! -x $directory/initdb ]] || newest=$directory
    done
    printf '%s\n' "$newest"
}

# import_postgres PREPARATION LOG: sets `postgres_image` and `other_postgres_image`: from a registry when
# they can be pulled within seconds, else made here, once the preparation with that process id has ended.
import_postgres() {
    local preparation=$1 log=$2 other
    if pull_postgres "${DR_TEST_POSTGRES_TAG:-15}"; then
        postgres_image=$pulled
        ! pull_postgres "${DR_TEST_OTHER_POSTGRES_TAG:-17}" || other_postgres_image=$pulled
        return 0
    fi
    [[ -z $preparation ]] || wait "$preparation" || true
    if [[ ! -s $(postgres_archive "$(distribution_suite)") ]]; then
        postgres_image_missing="its file system could not be made: $(tail -n 1 "$log")"
        say "no image of PostgreSQL: $postgres_image_missing"
        return 0
    fi
    make_postgres "$(distribution_suite)"
    postgres_image=$made
    other=$(other_suite)
    [[ -n $other && -s $(postgres_archive "$other") ]] || return 0
    make_postgres "$other"
    other_postgres_image=$made
}

# make_postgres SUITE: sets `made`.
make_postgres() {
    local id
    made=dr-test/postgres:$1
    zstd -dcq "$(postgres_archive "$1")" | docker -H "$docker_host" import \
        --change 'ENV PATH=/usr/local/bin:/usr/local/postgresql:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENV LANG=C.UTF-8' --change 'ENV PGDATA=/var/lib/postgresql/data' \
        --change 'VOLUME /var/lib/postgresql/data' --change 'EXPOSE 5432' \
        --change 'ENTRYPOINT ["entrypoint"]' --change 'CMD ["postgres"]' - "$made" >/dev/null
    # The signal that stops it is nothing that import can say; a container's commit can.
    id=$(docker -H "$docker_host" create --stop-signal SIGINT "$made")
    docker -H "$docker_host" commit "$id" "$made" >/dev/null
    docker -H "$docker_host" rm -v "$id" >/dev/null
    remove_image_at_end "$made"
    say "made the image $made"
}

# pull_postgres TAG: the official image, with busybox added, when a registry answers at once; sets
# `pulled`.
pull_postgres() {
    local base=postgres:$1 id
    timeout 5 docker -H "$docker_host" manifest inspect "$base" >/dev/null 2>&1 || return 1
    timeout 300 docker -H "$docker_host" pull -q "$base" >/dev/null 2>&1 || return 1
    pulled=dr-test/postgres-with-busybox:$1
    id=$(docker -H "$docker_host" create "$base") || return 1
    docker -H "$docker_host" cp -q /bin/busybox "$id:/usr/local/bin/busybox" >/dev/null 2>&1 ||
        docker -H "$docker_host" cp /bin/busybox "$id:/usr/local/bin/busybox" >/dev/null || return 1
    docker -H "$docker_host" commit "$id" "$pulled" >/dev/null || return 1
    docker -H "$docker_host" rm "$id" >/dev/null
    remove_image_at_end "$pulled"
}
