# shellcheck shell=bash
# A Docker Engine for tests: the one that answers, or one of our own that leaves nothing behind.

docker_host=      # the Engine that tests use; empty when there is none
docker_missing=   # why there is none
docker_bridge=
docker_pid=
docker_filters=true

# engine_answers HOST: whether an Engine answers there within 3 seconds.
engine_answers() { timeout 3 docker -H "$1" version --format '{{.Server.Version}}'; }

# start_docker: sets `docker_host`, or `docker_missing` when this machine can have no Engine.
start_docker() {
    local given=${DOCKER_HOST:-unix:///var/run/docker.sock}
    if has docker && engine_answers "$given" >/dev/null 2>&1; then
        docker_host=$given
        say "using the Docker Engine at $docker_host"
    elif ! is_root; then
        docker_missing="no Docker Engine answers at $given, and only root can start one"
    elif ! has dockerd; then
        docker_missing="no Docker Engine answers at $given, and dockerd is not installed"
    else
        start_own_docker
    fi
    [[ -n $docker_host ]] || say "no Docker tests: $docker_missing"
}

start_own_docker() {
    local base=$scratch/docker range forward
    docker_bridge=drt$(printf '%06x' $((RANDOM << 8 ^ $$ & 0xffffff)))
    docker_bridge=${docker_bridge:0:12}
    range=$(free_range) || {
        docker_missing="no private address range is free on this machine"
        return 0
    }
    forward=$(</proc/sys/net/ipv4/ip_forward)
    # Engines of one machine share their iptables chains, and one that starts empties them: where
    # another one runs, ours leaves them alone (published ports then go through its proxy alone).
    [[ $(docker_chains) == 0 ]] || docker_filters=false
    at_end remove_own_docker "$forward"
    mkdir -p "$base"
    if ! { ip link add "$docker_bridge" type bridge &&
        ip address add "$range.255.1/24" dev "$docker_bridge" &&
        ip link set "$docker_bridge" up; } 2>"$base/log"; then
        docker_missing="this kernel makes no bridge: $(tail -n 1 "$base/log")"
        return 0
    fi
    start_beside "$base/log" dockerd --data-root "$base/data" --exec-root "$base/exec" \
        -H "unix://$base/docker.sock" --pidfile "$base/pid" --group root \
        --bridge "$docker_bridge" --default-address-pool "base=$range.0.0/17,size=24" \
        --ip-forward=false --ip-masq=false --iptables="$docker_filters"
    docker_pid=$started
    if wait_until 30 engine_answers "unix://$base/docker.sock"; then
        docker_host=unix://$base/docker.sock
        say "started a Docker Engine of our own ($(engine_answers "$docker_host"))," \
            "networks in $range.0.0/16, bridge $docker_bridge"
    else
        docker_missing="dockerd did not start: $(grep -v level=info "$base/log" | tail -n 2)"
    fi
}

# free_range: the first two numbers of a /16 that no route or address of this machine touches.
free_range() {
    local number taken
    taken=$(ip -4 route show table all; ip -4 -o address)
    for number in $(seq 213 254) $(seq 100 200); do
        grep -q "\b10\.$number\." <<<"$taken" && continue
        grep -Eq '\b10\.0\.0\.0/8' <<<"$taken" && break
        printf '10.%s\n' "$number"
        return
    done
    for number in $(seq 16 31); do
        grep -q "\b172\.$number\." <<<"$taken" && continue
        printf '172.%s\n' "$number"
        return
    done
    return 1
}

# docker_chains: how many of Docker's iptables chains there are.
docker_chains() { iptables-save 2>/dev/null | grep -c '^:DOCKER' || true; }

# remove_own_docker FORWARD: ends it and removes what it made; forwarding becomes what it was.
remove_own_docker() {
    local forward=$1 host=unix://$scratch/docker/docker.sock
    if [[ -n $docker_pid ]]; then
        if engine_answers "$host" >/dev/null 2>&1; then
            docker -H "$host" ps -aq | xargs -r docker -H "$host" rm -f >/dev/null 2>&1
            # An Engine that stops leaves the bridges of its networks behind.
            docker -H "$host" network ls -q --filter type=custom |
                xargs -r docker -H "$host" network rm >/dev/null 2>&1
        fi
        kill -TERM "$docker_pid" 2>/dev/null && wait_until 20 all_ended "$docker_pid"
        end_beside "$docker_pid" 1
    fi
    ip link delete "$docker_bridge" 2>/dev/null
    [[ $(</proc/sys/net/ipv4/ip_forward) == "$forward" ]] ||
        printf '%s\n' "$forward" >/proc/sys/net/ipv4/ip_forward
    if $docker_filters && ! pgrep -x dockerd >/dev/null; then remove_docker_chains; fi
    return 0
}

# remove_docker_chains: rules that jump into Docker's chains or name our bridge, then the chains.
remove_docker_chains() {
    local table
    for table in filter nat; do
        iptables-save -t "$table" 2>/dev/null |
            grep -E "^-A .*(-j DOCKER|$docker_bridge)" | grep -v '^-A DOCKER' | sed 's/^-A/-D/' |
            while read -r rule; do
                # shellcheck disable=SC2086  # a rule is many words
                iptables -t "$table" $rule 2>/dev/null
            done
        iptables-save -t "$table" 2>/dev/null | sed -n 's/^:\(DOCKER[^ ]*\) .*/\1/p' |
            while read -r chain; do iptables -t "$table" -F "$chain"; done
        iptables-save -t "$table" 2>/dev/null | sed -n 's/^:\(DOCKER[^ ]*\) .*/\1/p' |
            while read -r chain; do iptables -t "$table" -X "$chain"; done
    done 2>/dev/null
}

# import_busybox: makes dr-test/busybox:1, an image whose every command is busybox.
import_busybox() {
    local tree=$scratch/busybox applet
    mkdir -p "$tree"/{bin,etc,tmp,proc,sys,dev,root,var}
    cp /bin/busybox "$tree/bin/busybox" 2>/dev/null || cp /usr/bin/busybox "$tree/bin/busybox"
    for applet in $("$tree/bin/busybox" --list); do
        [[ $applet == busybox ]] || ln -s busybox "$tree/bin/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$tree/etc/passwd"
    printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"
    chmod 1777 "$tree/tmp"
    tar -C "$tree" --owner=0 --group=0 -c . |
        docker -H "$docker_host" import --change 'ENV PATH=/bin' --change 'CMD ["sh"]' \
            - dr-test/busybox:1 >/dev/null
    rm -rf "$tree"
    remove_image_at_end dr-test/busybox:1
    say "made the image dr-test/busybox:1"
}

# remove_image_at_end IMAGE: an Engine that is not ours gets back to what it was.
remove_image_at_end() {
    [[ -n $docker_pid ]] || at_end "docker -H $docker_host image rm -f $1 >/dev/null 2>&1"
}
