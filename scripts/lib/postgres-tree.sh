# shellcheck shell=bash
# File systems of images that run PostgreSQL, made from this distribution's own packages and, for
# another major version, from those of one of its other releases.

# postgres_archive SUITE: where the image's file system is kept between runs; its name says from what
# it was made.
postgres_archive() {
    local lib version
    lib=$root/scripts/lib
    version=$(cat "$lib/postgres-tree.sh" "$lib/postgres-entrypoint.sh" | sha256sum | cut -c 1-12)
    printf '%s/postgres-%s-%s-%s.tar.zst\n' \
        "$cache" "$1" "$(dpkg --print-architecture)" "$version"
}

distribution_suite() {
    # shellcheck source=/dev/null
    (. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-stable}")
}

# other_suite: a release with another major version of PostgreSQL; nothing where none is known.
other_suite() {
    case $(distribution_suite) in
    bookworm) echo trixie ;;
    trixie) echo bookworm ;;
    jammy) echo noble ;;
    noble) echo jammy ;;
    esac
}

# prepare_postgres_archives: makes both unless they are there; the second is not missed when it cannot
# be made.
prepare_postgres_archives() {
    local other
    prepare_postgres_archive "$(distribution_suite)" || return 1
    other=$(other_suite)
    [[ -z $other ]] || prepare_postgres_archive "$other" || true
}

# prepare_postgres_archive SUITE: makes it with debootstrap unless it is there; minutes, so it runs
# beside the build. Writes nothing but its log; the archive appears whole or not at all.
prepare_postgres_archive() (
    suite=$1
    archive=$(postgres_archive "$suite")
    [[ ! -s $archive ]] || exit 0
    tree=$scratch/postgres-tree-$suite
    mkdir -p "$cache"
    components=main
    ! grep -q '^ID=ubuntu' /etc/os-release || components=main,universe
    debootstrap --variant=minbase --components="$components" \
        --include=postgresql,busybox-static "$suite" "$tree" "$(mirror)" || exit 1
    # Code generation at run time, documents and package lists are three fifths of the size.
    rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale} \
        "$tree"/usr/lib/*/libLLVM* "$tree"/usr/lib/postgresql/*/lib/{llvmjit*,bitcode} \
        "$tree"/var/lib/postgresql/* "$tree"/etc/postgresql/*
    bin=$(cd "$tree" && printf '/%s' usr/lib/postgresql/*/bin)
    ln -sfn "$bin" "$tree/usr/local/postgresql"
    install_file "$root/scripts/lib/postgres-entrypoint.sh" "$tree/usr/local/bin/entrypoint"
    tar -C "$tree" --one-file-system --exclude=./dev/* --exclude=./proc/* --exclude=./sys/* -c . |
        zstd -q -3 -T0 -o "$archive.$$.tmp" -f || exit 1
    mv "$archive.$$.tmp" "$archive"
    rm -rf --one-file-system "$tree"
)

install_file() { cp "$1" "$2" && chmod 755 "$2"; }

# mirror: where this machine gets its own packages from.
mirror() {
    local found
    found=$(sed -nE 's/^deb (\[[^]]*\] )?(https?:[^ ]+) .*/\2/p' /etc/apt/sources.list \
        /etc/apt/sources.list.d/*.list 2>/dev/null | grep -v security | head -n 1)
    [[ -n $found ]] || found=$(sed -nE 's/^URIs: (https?:[^ ]+).*/\1/p' \
        /etc/apt/sources.list.d/*.sources 2>/dev/null | grep -v security | head -n 1)
    printf '%s\n' "${found:-http://deb.debian.org/debian}"
}
