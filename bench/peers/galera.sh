#!/usr/bin/env bash
# Three nodes of MariaDB Galera on loopback, for `plait bench sql` to measure beside Plait.
#
#   galera.sh up       make what is missing, start what does not run, wait until all three are Synced
#   galera.sh pids     the three processes' ids
#   galera.sh ports    the three SQL ports
#   galera.sh down     end them, keep their data
#   galera.sh wipe     end them, remove their directory
#
# Everything is below PEER_DIR; the ports are a block of 100 from PEER_BASE. PEER_FLUSH is InnoDB's
# innodb_flush_log_at_trx_commit: 0, Galera's usual setting, syncs no commit. User and password: bench; database: sbtest.
# A process is ended by the id that was noted when it was started, and only while that id is still a mariadbd.
set -euo pipefail

DIR=${PEER_DIR:?say where its data may go: PEER_DIR=DIRECTORY}
BASE=${PEER_BASE:-24300}
FLUSH=${PEER_FLUSH:-0}
START_MAX_S=120
STOP_MAX_S=60
APT='apt-get install mariadb-server galera-4 rsync lsof'

sql_port() { echo $((BASE + 10 + $1)); }
group_port() { echo $((BASE + 20 + $1)); }
ist_port() { echo $((BASE + 30 + $1)); }
sst_port() { echo $((BASE + 40 + $1)); }

fail() { echo "$1" >&2; exit "${2:-1}"; }

find_programs() {
    MARIADBD=$(command -v mariadbd || true)
    [ -n "$MARIADBD" ] || { [ -x /usr/sbin/mariadbd ] && MARIADBD=/usr/sbin/mariadbd; } || true
    PROVIDER=
    for path in /usr/lib/galera/libgalera_smm.so /usr/lib64/galera-4/libgalera_smm.so; do
        [ -e "$path" ] && PROVIDER=$path
    done
    # rsync and lsof carry the state to a node that joins.
    for program in mariadb mariadb-install-db rsync lsof; do
        command -v "$program" >/dev/null || fail "$program is not installed: $APT" 5
    done
    [ -n "$MARIADBD" ] || fail "mariadbd is not installed: $APT" 5
    [ -n "$PROVIDER" ] || fail "libgalera_smm.so is not installed: $APT" 5
}

# Galera's state transfer runs as the server's user and refuses to be root.
as_user() { if [ "$(id -u)" = 0 ]; then echo --user=mysql; fi; }
own() { if [ "$(id -u)" = 0 ]; then chown mysql:mysql "$@"; fi; }

pid_of() { # NODE: its process, if it runs
    local pid
    pid=$(cat "$DIR/n$1.pid" 2>/dev/null) || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = mariadbd ] && echo "$pid"
}

ask() { mariadb --no-defaults -uroot -S "$DIR/n$1.sock" -NB --connect-timeout=2 -e "$2" 2>/dev/null; }

start() { # NODE [--wsrep-new-cluster]
    local n=$1; shift
    mkdir -p "$DIR/n$n" "$DIR/tmp$n"
    own "$DIR" "$DIR/n$n" "$DIR/tmp$n"
    # No descriptor of the caller's goes to the server: a lock in it would be held as long as the server lives.
    for fd in 3 4 5 6 7 8 9; do eval "exec $fd>&-"; done
    # shellcheck disable=SC2046
    setsid "$MARIADBD" --no-defaults $(as_user) --datadir="$DIR/n$n" --tmpdir="$DIR/tmp$n" --socket="$DIR/n$n.sock" \
        --pid-file="$DIR/n$n.own.pid" --log-error="$DIR/n$n.log" --bind-address=127.0.0.1 --port="$(sql_port "$n")" \
        --server-id="$n" --skip-name-resolve --skip-log-bin --binlog-format=ROW --max-connections=400 \
        --innodb-autoinc-lock-mode=2 --innodb-buffer-pool-size=1G --innodb-flush-log-at-trx-commit="$FLUSH" \
        --wsrep-on=ON --wsrep-provider="$PROVIDER" --wsrep-cluster-name="plait-peer-$BASE" \
        --wsrep-cluster-address="gcomm://127.0.0.1:$(group_port 1),127.0.0.1:$(group_port 2),127.0.0.1:$(group_port 3)" \
        --wsrep-node-name="n$n" --wsrep-node-address=127.0.0.1 --wsrep-slave-threads=4 \
        --wsrep-sst-method=rsync --wsrep-sst-receive-address="127.0.0.1:$(sst_port "$n")" \
        --wsrep-provider-options="base_host=127.0.0.1;base_port=$(group_port "$n");gmcast.listen_addr=tcp://127.0.0.1:$(group_port "$n");ist.recv_addr=127.0.0.1:$(ist_port "$n");gcache.size=256M" \
        "$@" </dev/null >>"$DIR/n$n.out" 2>&1 &
    echo $! >"$DIR/n$n.pid"
}

wait_synced() { # NODE
    local end=$((SECONDS + START_MAX_S)) state
    while [ $SECONDS -lt $end ]; do
        state=$(ask "$1" "SHOW STATUS LIKE 'wsrep_local_state_comment'" | cut -f2 || true)
        [ "$state" = Synced ] && return 0
        [ -d "/proc/$(cat "$DIR/n$1.pid")" ] || { tail -20 "$DIR/n$1.log" >&2; fail "n$1 ended while it started; see $DIR/n$1.log"; }
        sleep 0.1
    done
    fail "n$1 is not Synced after $START_MAX_S s; see $DIR/n$1.log" 4
}

up() {
    find_programs
    if pid_of 1 >/dev/null && pid_of 2 >/dev/null && pid_of 3 >/dev/null; then
        for n in 1 2 3; do wait_synced $n; done
        return
    fi
    for n in 1 2 3; do pid_of $n >/dev/null && fail "only a part of its nodes runs; end them first: $0 down" 6; done
    # Nothing is measured across a restart, so old data has no worth, and an orderly start of it is Galera's business.
    [ ! -e "$DIR" ] || remove
    mkdir -p "$DIR/n1"
    own "$DIR" "$DIR/n1"
    # shellcheck disable=SC2046
    mariadb-install-db --no-defaults $(as_user) --datadir="$DIR/n1" --auth-root-authentication-method=normal \
        --skip-test-db --skip-name-resolve >"$DIR/install.log" 2>&1 || { tail "$DIR/install.log" >&2; fail "mariadb-install-db failed"; }
    start 1 --wsrep-new-cluster
    wait_synced 1
    ask 1 "CREATE DATABASE sbtest; CREATE USER bench@'127.0.0.1' IDENTIFIED BY 'bench'; GRANT ALL ON sbtest.* TO bench@'127.0.0.1'"
    for n in 2 3; do start $n; wait_synced $n; done
}

down() {
    local n pid end
    for n in 3 2 1; do
        pid=$(pid_of $n) || continue
        kill -TERM "$pid"
        end=$((SECONDS + STOP_MAX_S))
        while [ -d "/proc/$pid" ] && [ $SECONDS -lt $end ]; do sleep 0.1; done
        [ ! -d "/proc/$pid" ] || kill -KILL "$pid"
        rm -f "$DIR/n$n.pid"
    done
}

# Removes the directory only if it is one of ours.
remove() {
    [ -e "$DIR" ] || return 0
    [ -e "$DIR/install.log" ] || [ -z "$(ls -A "$DIR")" ] || fail "$DIR was not made by this script; it is left alone" 7
    rm -rf "$DIR"
}

case "${1:-}" in
    up) up ;;
    down) down ;;
    wipe) down; remove ;;
    pids) for n in 1 2 3; do pid_of $n || fail "n$n does not run; start it: $0 up" 6; done ;;
    ports) for n in 1 2 3; do sql_port $n; done ;;
    *) sed -n '2,12p' "$0" >&2; exit 2 ;;
esac
