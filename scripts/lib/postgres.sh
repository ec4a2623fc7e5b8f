# shellcheck shell=bash
# PostgreSQL for tests: the newest installed server's programs, and an image that runs one.

postgres_image=          # the image that tests use; empty when there is none
postgres_image_missing=  # why there is none

# postgres_bin: the directory of the newest installed server's programs.
postgres_bin() {
    local directory newest=
    for directory in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V); do
        [[ ! -x $directory/initdb ]] || newest=$directory
    done
    printf '%s\n' "$newest"
}

# import_postgres PREPARATION LOG: sets `postgres_image`: one from a registry when it can be pulled
# within seconds, else one made here, once the preparation with that process id has ended.
import_postgres() {
    local preparation=$1 log=$2 tag archive id
    if tag=$(pull_postgres); then
        postgres_image=$tag
        remove_image_at_end "$tag"
        return
    fi
    [[ -z $preparation ]] || wait "$preparation" || true
    archive=$(postgres_archive)
    if [[ ! -s $archive ]]; then
        postgres_image_missing="its file system could not be made: $(tail -n 1 "$log")"
        say "no image of PostgreSQL: $postgres_image_missing"
        return 0
    fi
    tag=dr-test/postgres:$(distribution_suite)
    zstd -dcq "$archive" | docker -H "$docker_host" import \
        --change 'ENV PATH=/usr/local/bin:/usr/local/postgresql:/usr/sbin:/usr/bin:/sbin:/bin' \
        --change 'ENV LANG=C.UTF-8' --change 'ENV PGDATA=/var/lib/postgresql/data' \
        --change 'VOLUME /var/lib/postgresql/data' --change 'EXPOSE 5432' \
        --change 'ENTRYPOINT ["entrypoint"]' --change 'CMD ["postgres"]' - "$tag" >/dev/null
    # The signal that stops it is nothing that import can say; a container's commit can.
    id=$(docker -H "$docker_host" create --stop-signal SIGINT "$tag")
    docker -H "$docker_host" commit "$id" "$tag" >/dev/null
    docker -H "$docker_host" rm -v "$id" >/dev/null
    postgres_image=$tag
    remove_image_at_end "$tag"
    say "made the image $tag"
}

# pull_postgres: the official image, with busybox added, when a registry answers at once.
pull_postgres() {
    local base=postgres:${DR_TEST_POSTGRES_TAG:-15}
    timeout 5 docker -H "$docker_host" manifest inspect "$base" >/dev/null 2>&1 || return 1
    timeout 300 docker -H "$docker_host" pull -q "$base" >/dev/null 2>&1 || return 1
    local made=dr-test/postgres-with-busybox:1 id
    id=$(docker -H "$docker_host" create "$base") || return 1
    docker -H "$docker_host" cp -q /bin/busybox "$id:/usr/local/bin/busybox" >/dev/null 2>&1 ||
        docker -H "$docker_host" cp /bin/busybox "$id:/usr/local/bin/busybox" >/dev/null || return 1
    docker -H "$docker_host" commit "$id" "$made" >/dev/null || return 1
    docker -H "$docker_host" rm "$id" >/dev/null
    printf '%s\n' "$made"
}
