#!/usr/bin/env bash
# jgo 3.2.0 (resolves Java's packages without Maven): a second coordinate changes the versions that the first one brings.
#
# With two coordinates joined by `+`, the managed versions of each rule over the whole set. `kafka_2.13` 4.3.1 alone brings
# kafka-clients 4.3.1; with `log4j-slf4j-impl` 2.25.4 beside it, whose parent manages Kafka's client for tests of its own, it
# brings another kafka-clients, and the exit code is 0. A broker of one version with the client library of another is the
# result. A `!` behind the second coordinate leaves its management out.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install 'jgo[cli]==3.2.0'
export M2_REPO=$work/m2
kafka=org.apache.kafka:kafka_2.13:4.3.1 logging=org.apache.logging.log4j:log4j-slf4j-impl:2.25.4
client() { # coordinates
    "$work/venv/bin/jgo" list "$1" 2>"$work/said" >"$work/listed" || { cat "$work/said" >&2; exit 2; }
    sed -n 's/.*org\.apache\.kafka:kafka-clients:\(jar:\)\{0,1\}\([0-9.]*\).*/\2/p' "$work/listed" | head -n 1
}
alone=$(client "$kafka") together=$(client "$kafka+$logging") apart=$(client "$kafka+$logging!")
echo "jgo 3.2.0, kafka-clients of kafka_2.13 4.3.1: alone $alone, with log4j-slf4j-impl $together, with log4j-slf4j-impl! $apart"
[ "$alone" = 4.3.1 ] && [ "$apart" = 4.3.1 ] && [ "$together" != 4.3.1 ]
