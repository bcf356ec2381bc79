# shellcheck shell=bash
# Functions for the scripts in this folder, which source this file. Needs bash and Debian 12 or
# later.

announce() { printf '\n== %s\n' "$*"; }
warn() { printf 'WARNING: %s\n' "$*" >&2; }
die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Changes to the repository's root, from any folder.
enter_repository() {
    cd "$(dirname "${BASH_SOURCE[0]}")/.." || die "cannot enter the repository"
}

need_root() {
    [ "$(id -u)" = 0 ] || die "this script makes Unix users and starts an sshd: run it as root (sudo scripts/$(basename "$0"))"
}

# The packages that the builds need, that real uploads need, and that the tests need in addition.
# shellcheck disable=SC2034 # used by the scripts that source this
BUILD_PACKAGES=(build-essential pkg-config)
# shellcheck disable=SC2034
CLIENT_PACKAGES=(openssh-server openssh-client systemd python3 python3-aiosmtpd python3-venv sqlite3)
# shellcheck disable=SC2034
TEST_PACKAGES=(rclone lftp curl python3-paramiko strace shellcheck time e2fsprogs prometheus valgrind lintian faketime)

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs the given Debian packages that are missing, and prints their names.
install_missing() {
    local package missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "install these first: ${missing[*]}"
    announce "installing ${missing[*]}"
    # No service may start when its package is installed: tests run a separate sshd.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made_policy=yes
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    local status=0
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}"; } </dev/null || status=$?
    [ -z "$made_policy" ] || { rm -f "$policy" && trap - EXIT; }
    [ "$status" = 0 ] || die "apt-get could not install ${missing[*]}"
}

# Finds cargo where rustup installs it, for this user and the user who called sudo: sudo drops PATH.
find_cargo() {
    command -v cargo >/dev/null && return
    local user home
    for user in "${SUDO_USER:-}" "$(id -un)"; do
        home=$(getent passwd "$user" | cut -d: -f6) || continue
        [ -x "$home/.cargo/bin/cargo" ] || continue
        export PATH="$home/.cargo/bin:$PATH" RUSTUP_HOME="${RUSTUP_HOME:-$home/.rustup}"
        return
    done
    die "no cargo: install a Rust toolchain first (https://rustup.rs)"
}

# Runs a command as the user who called sudo, so that target/ belongs to that user.
as_caller() {
    if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
        runuser -u "$SUDO_USER" -- env PATH="$PATH" "$@"
    else
        "$@"
    fi
}
