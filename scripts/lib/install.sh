# shellcheck shell=bash
# Installs Debian and Ubuntu packages that are missing, says which and why, and starts no service.

# What the package is built with.
build_packages=(git pkg-config libzstd-dev libarchive-dev libsqlite3-dev libcurl4-openssl-dev
    libyaml-dev)
# What tests and the demonstration look at results with, and the servers they start themselves.
tool_packages=(postgresql mariadb-server nut-server nut-client sqlite3 curl attr acl zstd strace
    e2fsprogs openssh-client openssh-server)
# What a repository is read with in tests by a program that shares no code with dr.
reader_packages=(python3 python3-cryptography python3-zstandard)
# What a Docker Engine of our own needs, and what images are made from without a registry.
docker_packages=(docker.io iptables iproute2 busybox-static debootstrap)

# as_root COMMAND…: as it is for root, by sudo for others.
as_root() {
    if is_root; then "$@"; else sudo "$@"; fi
}

# missing PACKAGE…: those that are not installed, one a line.
missing() {
    local package
    for package in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            printf '%s\n' "$package"
    done
}

# require_swift: fails unless a Swift 6.3 toolchain is there.
require_swift() {
    has swift || fail "there is no swift in PATH; install Swift 6.3 from https://www.swift.org/install"
    swift --version 2>/dev/null | grep -Eq 'Swift version (6\.([3-9]|[1-9][0-9])|[7-9])' ||
        fail "dr needs Swift 6.3 or newer; this is: $(swift --version 2>/dev/null | head -n 1)"
}

# install WHY PACKAGE…: installs what is missing; one that fails ends the script.
install() {
    local why=$1 packages
    shift
    if ! has dpkg-query || ! has apt-get; then
        say "this is no Debian or Ubuntu; please see to it that these are there ($why): $*"
        return 0
    fi
    mapfile -t packages < <(missing "$@")
    ((${#packages[@]})) || return 0
    if is_root; then
        say "installing, $why: ${packages[*]}"
    else
        has sudo || fail "missing, $why: ${packages[*]}; install them as root and run this again"
        say "installing with sudo apt-get, $why: ${packages[*]}"
    fi
    hold_services
    local status=0
    apt_install "${packages[@]}" || status=$?
    release_services
    [[ " ${packages[*]} " != *' docker.io '* ]] || disable_new_docker
    ((status == 0)) || fail "apt-get could not install: ${packages[*]}"
}

apt_install() {
    local log=$scratch/apt.log
    local -a get=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y
        -o DPkg::Lock::Timeout=300)
    # Lists may be absent or stale; fetching them once more is cheaper than a failed install.
    if "${get[@]}" update >"$log" 2>&1 &&
        "${get[@]}" install --no-install-recommends "$@" >>"$log" 2>&1; then
        return 0
    fi
    tail -n 20 "$log" >&2
    return 1
}

# Packages start services and PostgreSQL's makes a cluster; neither is wanted on a machine that only
# builds and tests. Both are held for the time of the installation, and let go after it.
policy=/usr/sbin/policy-rc.d
no_cluster=/etc/postgresql-common/createcluster.d/dr-no-cluster.conf
held=()

hold_services() {
    at_end release_services
    if [[ ! -e $policy ]]; then
        held+=("$policy")
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    held+=("$no_cluster")
    as_root mkdir -p "${no_cluster%/*}"
    printf 'create_main_cluster = false\n' | as_root tee "$no_cluster" >/dev/null
}

release_services() {
    ((${#held[@]} == 0)) || as_root rm -f "${held[@]}"
    held=()
}

# A Docker that came in with the tests does not start with the machine either.
disable_new_docker() {
    [[ ! -d /run/systemd/system ]] ||
        as_root systemctl disable --quiet docker.socket docker.service containerd.service || true
}
