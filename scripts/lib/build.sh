# shellcheck shell=bash
# The one way in which the package is built here: any other flag would build everything anew.

# Release, because the hot loops are far too slow in debug; tests use nothing that only debug has.
# The layers hold: a target that imports what its list lacks is an error.
build_flags=(-c release --explicit-target-dependency-import-check error)

# build WHAT FLAG…: builds, with the time it took; `WHAT` is for the person who waits.
build() {
    local what=$1 before=$SECONDS
    shift
    say "building $what"
    attend swift build --package-path "$root" "${build_flags[@]}" "$@" >&2 ||
        fail "the build failed; its errors are above"
    say "built $what in $((SECONDS - before)) s"
}

# built_program NAME: the path of a program that `build` made.
built_program() {
    printf '%s/%s\n' "$(swift build --package-path "$root" "${build_flags[@]}" --show-bin-path)" "$1"
}
