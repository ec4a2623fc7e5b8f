# shellcheck shell=bash
# A second S3 server on loopback for tests, independent of the first: moto, from PyPI.

other_s3_endpoint= # empty when there is none
moto_version=5.2.5

moto_program() { pypi_program moto "$moto_version" moto_server; }

prepare_moto() { prepare_from_pypi moto "$moto_version" 'moto[s3,server]' moto_server --help; }

# start_moto PREPARATION: sets `other_s3_endpoint`, once the preparation with that process id has ended.
start_moto() {
    local program port
    wait "$1" || true
    program=$(moto_program)
    if [[ ! -x $program ]]; then
        say "no tests on a second S3 server: moto could not be installed"
        return 0
    fi
    port=$(free_port 17333)
    start_beside "$scratch/moto.log" "$program" -H 127.0.0.1 -p "$port"
    at_end end_beside "$started" 10
    if wait_until 60 s3_answers "$port"; then
        other_s3_endpoint=http://127.0.0.1:$port
        say "started moto $moto_version, S3 at $other_s3_endpoint"
    else
        say "no tests on a second S3 server: moto did not start"
    fi
}
