#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The benchmark runs: each suite for a moment, its tables, its JSON, and the plots and tables for
# docs/. Its figures mean nothing here. It makes its own namespaces and removes them.
# alone: it measures speed
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
failures=0

works() {
	local what=$1
	shift
	if "$@"; then echo "ok $what"; else
		echo "not ok $what: '$*' failed"
		failures=$((failures + 1))
	fi
}
left() { ip netns list | grep -c "^ipdivert-bench-$1-"; }

"$top/bench/run" --smoke --json "$TMP/results.json" >"$TMP/run.out" 2>&1 &
pid=$!
works "bench/run --smoke" wait $pid
cat "$TMP/run.out"
works "no namespace is left" test "$(left $pid)" = 0
for suite in overload loss tcp flows flows_tcp latency cpu stages rules memory states; do
	works "$suite: has figures" grep -q "\"suite\": \"$suite\"" "$TMP/results.json"
done
if grep -q 'nfqueue.* cannot be run' "$TMP/run.out"; then
	echo "skip all subjects could be run: this kernel has no NFQUEUE"
else
	works "all subjects could be run" grep -q '"not_run": \[\]' "$TMP/results.json"
fi
works "the table of ratios says whether each holds" \
	test "$(grep -cE '  (yes|no|not measured)$' "$TMP/run.out")" = 14

mkdir "$TMP/docs"
cp "$top/docs/performance.md" "$TMP/docs"
cp "$top/README.md" "$TMP"
works "bench/publish" "$top/bench/publish" "$TMP/results.json" "$TMP"
works "plots" test "$(find "$TMP/docs/plots" -name '*.svg' -size +1k | wc -l)" -ge 9
works "tables in performance.md" grep -q '^| NFQUEUE, plain loop |' "$TMP/docs/performance.md"
works "ratios in README.md" grep -q '^| overload: .* | [0-9]' "$TMP/README.md"

# when ended in the middle, it removes its network
"$top/bench/run" --only overload,undiverted --seconds 60 --json "$TMP/none.json" >"$TMP/ended.out" 2>&1 &
pid=$!
for _ in {1..500}; do
	[ "$(left $pid)" != 3 ] || break
	sleep 0.02
done
works "the network of a run" test "$(left $pid)" = 3
kill -TERM $pid
wait $pid
works "ended, status" test $? = 143
works "ended: no namespace is left" test "$(left $pid)" = 0
exit $((failures != 0))
