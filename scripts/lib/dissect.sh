# shellcheck shell=bash
# An independent reader of Proxmox's archives for tests: Fox-IT's dissect.archive, from PyPI.

dissect_version=1.8

dissect_python() { pypi_program dissect "$dissect_version" python; }

prepare_dissect() {
    prepare_from_pypi dissect "$dissect_version" dissect.archive python -c 'import dissect.archive.vma'
}
