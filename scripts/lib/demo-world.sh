# shellcheck shell=bash
# The small world that the demonstration saves and destroys: its making, its changes, its end, and
# what outside tools see of it. Everything is in the scratch directory or named `$world_name`.

world_name=dr-demo-$$
world_port=
site=      # a tree of files
database=  # an SQLite file

make_site() {
    site=$scratch/world/site
    mkdir -p "$site"/{pages,images,"with space",$'new\nline'}
    local number
    for number in $(seq 1 1500); do
        printf 'page %d of the demonstration\n%s\n' "$number" "$(printf '%0.sdata ' {1..60})" \
            >"$site/pages/$number.html"
    done
    for number in 1 2 3 4; do head -c 6000000 /dev/urandom >"$site/images/photo $number.jpg"; done
    printf 'not UTF-8\n' >"$site/"$'\xff\xfe caf\xe9'
    printf 'umlaut\n' >"$site/grüße"
    printf 'secret\n' >"$site/private"
    chmod 600 "$site/private"
    ln "$site/images/photo 1.jpg" "$site/with space/the same photo.jpg"
    ln -s ../images "$site/pages/images"
    ln -s /nowhere "$site/dangling"
    mkfifo "$site/fifo"
    truncate -s 256M "$site/sparse.img"
    printf 'data in the middle' | dd of="$site/sparse.img" bs=1M seek=100 conv=notrunc status=none
    setfattr -n user.comment -v 'kept with the file' "$site/grüße" 2>/dev/null || true
    setfacl -m u:65534:r "$site/private" 2>/dev/null || true
    touch -d '2001-02-03 04:05:06.123456789' "$site/pages/1.html"
    ! is_root || chown 1234:5678 "$site/pages/4.html"
}

make_database() {
    database=$scratch/world/notes.db
    sqlite3 "$database" >/dev/null <<'END'
PRAGMA journal_mode = WAL;
CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL, at REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO note SELECT i, 'note ' || i || ' ' || hex(randomblob(20)), i / 7.0 FROM n;
END
}

make_shop() {
    make_own_postgres
    own_psql -c "CREATE ROLE shop LOGIN PASSWORD 'kept as a verifier'" -c 'CREATE DATABASE shop OWNER shop'
    own_psql -d shop -U shop <<'END'
CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL, since timestamptz);
CREATE TABLE purchase (id bigserial PRIMARY KEY, customer int REFERENCES customer, cents int, note text);
CREATE INDEX ON purchase (customer);
CREATE VIEW revenue AS SELECT customer, sum(cents) AS cents FROM purchase GROUP BY customer;
INSERT INTO customer (name, since)
    SELECT 'customer ' || i, '2020-01-01'::timestamptz + i * interval '1 hour'
    FROM generate_series(1, 5000) i;
INSERT INTO purchase (customer, cents, note)
    SELECT 1 + i % 5000, i % 10000, md5(i::text) FROM generate_series(1, 200000) i;
END
}

# make_web: a container that serves a named volume, on a network of its own.
make_web() {
    [[ -n $docker_host ]] || return 0
    world_port=$(free_port 18480)
    at_end end_web
    engine network create "$world_name" >/dev/null
    engine volume create "$world_name-www" >/dev/null
    engine create --name "$world_name" --network "$world_name" -p "127.0.0.1:$world_port:80" \
        -v "$world_name-www:/www" --restart unless-stopped -e "GREETING=hello" \
        dr-test/busybox:1 httpd -f -p 80 -h /www >/dev/null
    engine start "$world_name" >/dev/null
    engine exec "$world_name" sh -c 'echo "it is up" >/www/index.html; mkdir /www/deep
        for n in $(seq 1 300); do echo "answer $n" >/www/deep/$n.txt; done
        ln /www/index.html /www/same.html; chown 1000:1000 /www/deep/7.txt; chmod 640 /www/deep/8.txt'
}

end_web() {
    engine rm -f "$world_name" >/dev/null 2>&1
    engine volume rm -f "$world_name-www" >/dev/null 2>&1
    engine network rm "$world_name" >/dev/null 2>&1
    return 0
}

engine() { docker -H "$docker_host" "$@"; }

make_world() {
    at_end end_own_postgres
    make_site
    make_database
    make_shop
    make_web
}

# change_world: a day of work in every part.
change_world() {
    rm -r "$site/pages/2"*
    printf 'new today\n' >"$site/pages/new.html"
    printf 'changed\n' >>"$site/pages/3.html"
    mv "$site/images/photo 2.jpg" "$site/images/renamed.jpg"
    sqlite3 "$database" "UPDATE note SET text = 'edited' WHERE id > 19900; DELETE FROM note WHERE id > 19990"
    own_psql -d shop -U shop -c "UPDATE purchase SET cents = cents + 1 WHERE id > 199000" \
        -c "INSERT INTO purchase (customer, cents, note) VALUES (1, 42, 'the last one')"
    [[ -z $docker_host ]] || engine exec "$world_name" sh -c 'echo "it is up, still" >/www/index.html'
}

# destroy_world: nothing is left; then what an empty machine has, a new empty PostgreSQL server.
destroy_world() {
    end_own_postgres
    rm -rf "$scratch/world" "$own_postgres"
    [[ -z $docker_host ]] || end_web
    make_own_postgres
}

# MARK: what outside tools see

# see_site: every entry's kind, mode, owner, size, time, link count and target, attributes, content.
see_site() {
    (cd "$site" &&
        find . -mindepth 1 -printf '%P %y %m %U:%G %T@ %n %l ' \
            \( -type f -printf '%s\0' -o -printf '\0' \) | LC_ALL=C sort -z | tr '\0\n' '\n?' &&
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum &&
        find . -print0 | LC_ALL=C sort -z | xargs -0 getfattr -h -d -m - -- 2>/dev/null)
}

see_database() { sqlite3 "$database" 'PRAGMA integrity_check' .dump; }

see_shop() {
    local table
    for table in customer purchase revenue; do
        own_psql -d shop -c "SELECT '$table', count(*), md5(string_agg(t::text, ';' ORDER BY t::text))
            FROM $table t"
    done
    own_psql -d shop -c "SELECT last_value FROM purchase_id_seq" \
        -c "SELECT datname, pg_get_userbyid(datdba) FROM pg_database ORDER BY 1" \
        -c "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid WHERE rolname = 'shop'" \
        -c "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
}

see_web() {
    engine inspect --format '{{json .Config.Cmd}} {{json .Config.Env}} {{json .HostConfig.PortBindings}}
        {{json .HostConfig.RestartPolicy}} {{range .Mounts}}{{.Name}} {{.Destination}}{{end}}
        {{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}} {{.State.Running}}' "$world_name"
    engine exec "$world_name" sh -c 'cd /www && find . -exec stat -c "%n %F %a %u:%g %s %h %y" {} + | sort
        find . -type f -exec sha256sum {} + | sort'
    http_get "$world_port"
}

http_get() {
    exec 8<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&8
    grep -av '^Date:' <&8
    exec 8<&-
}

# see_world DIRECTORY: one file a part.
see_world() {
    mkdir -p "$1"
    see_site >"$1/files"
    see_database >"$1/sqlite"
    see_shop >"$1/postgres"
    [[ -z $docker_host ]] || see_web >"$1/docker"
}

# compare_worlds BEFORE AFTER: one line a part; false when one differs.
compare_worlds() {
    local part equal=true
    for part in "$1"/*; do
        part=${part##*/}
        if cmp -s "$1/$part" "$2/$part"; then
            printf 'same  %-9s %s\n' "$part" "$(describe "$part" "$1/$part")"
        else
            equal=false
            printf 'OTHER %-9s\n' "$part"
            diff "$1/$part" "$2/$part" | head -n 20
        fi
    done
    $equal
}

# describe PART SEEN: what a comparison covered, counted in what was seen.
describe() {
    case $1 in
        files) printf '%s entries, %s contents by SHA-256, modes, owners, times, links, attributes' \
            "$(find "$site" -mindepth 1 | wc -l)" "$(grep -c '^[0-9a-f]\{64\}  ' "$2")" ;;
        sqlite) printf '%s rows by dump, integrity %s' "$(grep -c '^INSERT' "$2")" "$(head -n 1 "$2")" ;;
        postgres) printf '%s rows by checksum, sequence, indexes, owner, role with password' \
            "$(awk -F '|' '/^(customer|purchase)\|/ { n += $2 } END { print n }' "$2")" ;;
        docker) printf '%s files in the volume, definition, network, %s' \
            "$(grep -c '^[0-9a-f]\{64\}  ' "$2")" "$(grep -ao 'HTTP/1.. [0-9]* [A-Z]*' "$2" | head -n 1)" ;;
    esac
}
