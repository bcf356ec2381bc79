# shellcheck shell=bash
# Shared by the phases of the system test; sourced by `inside`.

export DEBIAN_FRONTEND=noninteractive
readonly ACCOUNT=TEST-ABC-123Z
readonly KEY=/root/partner
# shellcheck disable=SC2034 # used by phases
readonly DROP_IN=/etc/ssh/sshd_config.d/50-sftp-import.conf
readonly SSH=(-q -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
    -o IdentitiesOnly=yes -o ConnectTimeout=20)
# How long an immediate effect may take on a loaded machine, in seconds.
readonly SOON=60

failed() {
    echo "FAILED: $BASH_COMMAND (${BASH_SOURCE[1]} line $1)"
    systemctl status --no-pager -l sftp-importd sftp-import-provision ssh || true
    journalctl --no-pager -n 80 || true
}

holds() { echo "ok: $*"; }

# `!` before a command is no reason for `set -e` to stop; this is.
fails() { if "$@"; then return 1; fi; }

# until_true COMMAND...: waits for the command to succeed.
until_true() {
    local end=$((SECONDS + SOON))
    until "$@"; do
        [ $SECONDS -lt $end ] || { echo "gave up waiting for: $*" && return 1; }
        sleep 0.1
    done
}

property() { systemctl show -p "$2" --value "$1"; }
main_pid() { property sftp-importd MainPID; }
# The daemon's opener process.
opener_pid() {
    local pid pids=()
    read -ra pids <"/proc/$(main_pid)/task/$(main_pid)/children" || true # no line ends there
    for pid in "${pids[@]}"; do
        if [ "$(cat "/proc/$pid/comm")" = sftp-opener ]; then echo "$pid"; fi
    done
}
restarts() { property sftp-importd NRestarts; }
restarted_since() { [ "$(restarts)" -gt "$1" ] && systemctl is-active --quiet sftp-importd; }

# sftp_as_partner [OPTION...]: commands from standard input, as the account.
sftp_as_partner() { sftp "${SSH[@]}" -i "$KEY" "$@" -b - "$ACCOUNT@127.0.0.1"; }
logs_in() { echo ls | sftp_as_partner "$@" >/dev/null; }

# upload FILE MANIFEST: a pair of files of this folder.
upload() { printf 'put %s\nput %s\n' "$1" "$2" | sftp_as_partner >/dev/null; }

# upload_again NAME: the sample of events under another name.
upload_again() {
    cp samples/events.csv "/root/$1.csv"
    sed "s/events.csv/$1.csv/" samples/events.manifest >"/root/$1.manifest"
    upload "/root/$1.csv" "/root/$1.manifest"
}

state_of() {
    sqlite3 -readonly /var/lib/sftp-import/state.db \
        "SELECT state FROM import WHERE account = '$ACCOUNT' AND manifest = '$1.manifest'"
}
is_in_state() { [ "$(state_of "$1")" = "$2" ]; }
completes() { until_true is_in_state "$1" completed; }

make_other_user() {
    useradd -m -s /bin/bash other
    ssh-keygen -q -t ed25519 -N '' -f /root/other
    install -D -m 0600 -o other -g other /root/other.pub /home/other/.ssh/authorized_keys
    chown other:other /home/other/.ssh
}

# A mail server on port 25, which keeps what it gets below /root/mail.
start_mail_catcher() {
    mkdir -p /root/mail
    systemd-run --quiet --unit=mail-catcher --working-directory="$PWD" \
        python3 tests/catchers/smtp.py --port 25 --folder /root/mail
    until_true bash -c 'exec 3<>/dev/tcp/127.0.0.1/25' 2>/dev/null
}

# Waited for, like other logins after a reload: sshd listens anew some moments after `systemctl
# reload ssh` has returned (SIGHUP, sshd(8)).
other_logs_in() { ssh "${SSH[@]}" -i /root/other other@127.0.0.1 'echo hello' | grep -q hello; }
others_are_untouched() {
    until_true other_logs_in
    holds "another user's login works ($1)"
}

# A pair whose import takes minutes, because the daemon gets little processor time.
readonly LONG_RECORDS=150000
upload_long() {
    systemctl set-property --runtime sftp-importd CPUQuota=5%
    {
        echo "event_name,identity,note"
        yes "Purchased,jane@example.com,$(head -c 400 /dev/zero | tr '\0' x)" 2>/dev/null | head -n "$LONG_RECORDS" || true
    } >"/root/$1.csv"
    cat >"/root/$1.manifest" <<EOM
{"fileName": "$1.csv", "type": "event", "clientEmail": "data@example.com",
 "columns": {"event_name": {"ctName": "evtName"}}}
EOM
    upload "/root/$1.csv" "/root/$1.manifest"
    until_true is_in_state "$1" running
}
at_full_speed() { systemctl set-property --runtime sftp-importd CPUQuota=; }

# It was imported whole, and once: by the report, and by what the store holds of it.
long_is_whole() {
    completes "$1"
    local import
    import=$(sqlite3 -readonly /var/lib/sftp-import/state.db \
        "SELECT id FROM import WHERE manifest = '$1.manifest'")
    [ "$(grep -c . <<<"$import")" = 1 ]
    printf 'get /results/%s.result.json /root/%s.result.json\n' "$1" "$1" | sftp_as_partner >/dev/null
    python3 - "/root/$1.result.json" "$LONG_RECORDS" <<'EOP'
import json, sys
records = json.load(open(sys.argv[1]))["records"]
assert records["accepted"] == int(sys.argv[2]) and records["rejected"] == 0, records
EOP
    [ "$(find "/var/lib/sftp-import/data/$ACCOUNT/events/import=$import" -name '*.parquet' | wc -l)" -ge 1 ]
}

# commands TITLE [PAGE [N]]: the Nth block that follows TITLE in docs/operations.md, or PAGE.
commands() {
    awk -v title="$1" -v block="${3:-1}" 'index($0, title) { here = 1 }
        here && /^ *```/ { if (++fences == 2 * block) exit; next }
        here && fences == 2 * block - 1' "${2:-docs/operations.md}"
}

# follow TITLE [SED]: types that block unchanged, except for what SED replaces in an
# example; in /root.
follow() {
    commands "$1" | sed -e "${2:-}" >/root/commands
    [ -s /root/commands ]
    (cd /root && bash -eux /root/commands) >/root/follow.log 2>&1 </dev/null || { cat /root/follow.log && false; }
}

# no_failure: doctor finds none; warnings are a host's own.
no_failure() { sftp-import doctor "$@" >/root/doctor.txt || [ $? = 1 ] || { cat /root/doctor.txt && false; }; }

# doctor_fails CHECK WORDS, doctor_warns CHECK WORDS: doctor reports it for that check.
doctor_fails() { doctor_reports fail "$@"; }
doctor_warns() { doctor_reports warn "$@"; }
doctor_reports() {
    sftp-import doctor --json >/root/doctor.json || true
    python3 - "$@" <<'EOP'
import json, sys
level, check, words = sys.argv[1:]
found = [f for f in json.load(open("/root/doctor.json"))["findings"] if f["check"] == check]
assert any(f["level"] == level and words in f["message"] and f["fix"] for f in found), found
EOP
}
