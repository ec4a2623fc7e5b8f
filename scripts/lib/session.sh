# shellcheck shell=bash
# One run of a script: a scratch directory, an orderly end, and plain words on the way.
#
# Sourced by scripts/test and scripts/demo. What is started here is registered with `at_end` and
# ended by its process id, last first, after success, failure, Ctrl-C and kill alike.

# Where the repository is, and where things that are dear to make are kept between runs.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dr-test
begun=$SECONDS

endings=()
scratch=

# say WORDS: one line about what happens, on stderr; stdout belongs to the tools.
say() { printf '%s %s\n' "$(clock)" "$*" >&2; }

# fail WORDS: says why and ends the script.
fail() {
    say "error: $*"
    exit 1
}

# clock: minutes and seconds since the script began.
clock() {
    local seconds=$((SECONDS - begun))
    printf '[%d:%02d]' $((seconds / 60)) $((seconds % 60))
}

# at_end WORDS: a command to run at the end, before everything registered earlier.
at_end() { endings+=("$*"); }

end_session() {
    local status=$? index
    trap '' INT TERM HUP
    trap - EXIT
    set +e
    [[ -z $attended ]] || end_beside "$attended" 20
    for ((index = ${#endings[@]} - 1; index >= 0; index--)); do
        eval "${endings[index]}" </dev/null
    done
    if [[ -n $scratch ]]; then
        end_orphans
        awk -v under="$scratch/" 'index($2, under) == 1 { print $2 }' /proc/self/mounts | sort -r |
            xargs -r -n 1 umount -l 2>/dev/null
        rm -rf --one-file-system "$scratch"
    fi
    exit "$status"
}

# begin_session NAME: makes the scratch directory and arranges for the end.
begin_session() {
    trap end_session EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # Sockets live in it: their paths must stay under 108 bytes.
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/dr-$1.XXXXXX")
    chmod 711 "$scratch"
}

# start_beside LOG COMMAND…: starts it in a process group of its own, which Ctrl-C does not reach, and
# sets `started` to its process id.
start_beside() {
    local log=$1
    shift
    set -m
    "$@" </dev/null >>"$log" 2>&1 &
    started=$!
    set +m
}
started=

# end_beside PID SECONDS: TERM to what `start_beside` started and to all that it started, then KILL;
# returns when the process is gone.
end_beside() {
    local pid=$1 tenths=$(($2 * 10))
    kill -TERM -- "-$pid" 2>/dev/null || return 0
    while ! all_ended "$pid" && ((tenths-- > 0)); do sleep 0.1; done
    kill -KILL -- "-$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    return 0
}

# attend COMMAND…: runs it to its end and returns its exit code, but lets a signal to this script end it
# at once: a shell that waits for a command in the foreground hears nothing until that is over.
attend() {
    local status=0
    set -m
    "$@" </dev/null &
    attended=$!
    set +m
    wait "$attended" || status=$?
    attended=
    return "$status"
}
attended=

# end_orphans: ends what was started with a TMPDIR in our scratch directory and outlived its parent, as
# servers of a test that was killed do.
end_orphans() {
    local file pids=()
    for file in /proc/[0-9]*/environ; do
        ! grep -qsz "^TMPDIR=$scratch/" "$file" || pids+=("$(cut -d / -f 3 <<<"$file")")
    done
    ((${#pids[@]})) || return 0
    kill -TERM "${pids[@]}" 2>/dev/null
    wait_until 5 all_ended "${pids[@]}" || kill -KILL "${pids[@]}" 2>/dev/null
}

# all_ended PID…: whether none of them runs any more; one that nobody has reaped yet has ended.
all_ended() {
    local pid
    for pid in "$@"; do
        ! grep -qs . "/proc/$pid/cmdline" || return 1
    done
}

# wait_until SECONDS COMMAND…: true as soon as the command succeeds, false after that many seconds.
wait_until() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < until)) || return 1
        sleep 0.1
    done
}

# free_port FIRST: the first port from there on whose neighbour 10000 above is free as well.
free_port() {
    local port=$1
    while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null ||
        (: <"/dev/tcp/127.0.0.1/$((port + 10000))") 2>/dev/null; do
        port=$((port + 1))
    done
    printf '%s\n' "$port"
}

is_root() { [[ $(id -u) == 0 ]]; }
has() { command -v "$1" >/dev/null 2>&1; }
