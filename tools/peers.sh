#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings the peers that bench/peers.py measures beside yagura: peers.sh [DIRECTORY]   (build/peers)
# VictoriaLogs and VictoriaMetrics are built with the Go on PATH from their modules, ClickHouse comes as the Python
# package chdb into a virtual environment. What cannot be had is skipped, with the reason in DIRECTORY/skipped.
set -u
VICTORIALOGS=v1.52.1
VICTORIAMETRICS=v1.151.0
CHDB=4.4.0
GO_LEAST="1 26 6"

dir=${1:-$(dirname "$0")/../build/peers}
mkdir -p "$dir/bin" || exit 1
dir=$(cd "$dir" && pwd)
: >"$dir/skipped"

skip() {
    echo "peers.sh: $1 is left out: $2" >&2
    printf '%s\t%s\n' "$1" "$2" >>"$dir/skipped"
}

go_new_enough() {
    command -v go >/dev/null || return 1
    go env GOVERSION | awk -v least="$GO_LEAST" '{
        sub(/^go/, ""); split($1, have, "."); split(least, want, " ")
        for (i = 1; i <= 3; i++) { if (have[i] + 0 != want[i] + 0) exit !(have[i] + 0 > want[i] + 0) }
        exit 0 }'
}

go_peer() { # go_peer NAME MODULE VERSION PACKAGE
    [ "$(cat "$dir/bin/$1.version" 2>/dev/null)" = "$3" ] && return
    if ! go_new_enough; then
        skip "$1" "needs Go $(echo "$GO_LEAST" | tr ' ' .) or newer, PATH has $(go env GOVERSION 2>/dev/null || echo none)"
        return
    fi
    echo "peers.sh: building $1 $3"
    # A module of its own instead of `go install`, so that the peer's replace directives do not matter.
    mkdir -p "$dir/$1"
    if (cd "$dir/$1" && rm -f go.mod go.sum && go mod init peer && go get "$2/$4@$3" &&
        go build -o "$dir/bin/$1" "$2/$4") >"$dir/$1.log" 2>&1; then
        echo "$3" >"$dir/bin/$1.version"
    else
        skip "$1" "$(tail -1 "$dir/$1.log")"
    fi
}

chdb() {
    if "$dir/venv/bin/python" -c "import chdb" >/dev/null 2>&1 &&
        [ "$(cat "$dir/venv/chdb.version" 2>/dev/null)" = "$CHDB" ]; then
        return
    fi
    echo "peers.sh: installing chdb $CHDB"
    if { python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install --quiet --disable-pip-version-check "chdb==$CHDB"; } \
        >"$dir/chdb.log" 2>&1; then
        echo "$CHDB" >"$dir/venv/chdb.version"
    else
        skip chdb "$(tail -1 "$dir/chdb.log")"
    fi
}

go_peer victoria-logs github.com/VictoriaMetrics/VictoriaLogs "$VICTORIALOGS" app/victoria-logs
go_peer victoria-metrics github.com/VictoriaMetrics/VictoriaMetrics "$VICTORIAMETRICS" app/victoria-metrics
chdb
exit 0
