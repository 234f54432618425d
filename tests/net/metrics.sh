#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# divertctl stat -m: the counters for Prometheus. progs/prom.py checks the format, and promtool does
# if it is installed. The unit that writes them for node_exporter does it as one. The network is
# lib.sh's: a -- r -- b; a pings b, and r has the rules.
. "$(dirname "$0")/lib.sh"
make_router

# samples FILE: what it has, one sample a line
samples() { python3 "$HERE/prom.py" <"$1" >"$TMP/samples"; }
# metrics WORD...: what divertctl prints, checked; its exit status is in $rc
metrics() {
	q divertctl stat -m "$@" >"$TMP/prom" 2>"$TMP/err"
	rc=$?
	works "the format" samples "$TMP/prom"
	[ -z "$(command -v promtool)" ] || is "promtool has nothing to say" "$(promtool check metrics <"$TMP/prom" 2>&1)" ""
}
has() { works "$1" grep -qxF "$2" "$TMP/samples"; }

metrics
is "no engine: status" $rc 3
is "no engine: said in the metrics alone" "$(cat "$TMP/samples" "$TMP/err")" "ipdivert_engine_loaded 0"

echoes="icmp from any to 10.2.0.1 in icmptypes 8"
r ipfw -q add 100 divert 2000 $echoes
r ipfw -q add 100 count $echoes '// say "it\"' "with a \\"
r ipfw -q add 200 tee 2001 udp from any to any
reflect back r 2000
works "pings" ping_ a 10.2.0.1 5
metrics
is "status" $rc 0
has "packets of a port" "ipdivert_packets_total port=2000 family=inet cause=diverted 5"
has "a counter that is 0" "ipdivert_packets_total port=2000 family=inet cause=no-listener 0"
has "a port without packets" "ipdivert_packets_total port=2001 family=inet cause=teed 0"
has "of no port" "ipdivert_packets_total port=none family=inet cause=malformed 0"
has "lost on entry" "ipdivert_lost_on_entry_packets port=2000 family=inet 0"
has "sockets" "ipdivert_port_sockets port=2000 family=inet 1"
has "no socket" "ipdivert_port_sockets port=2001 family=inet 0"
has "a rule's packets" "ipdivert_rule_packets_total rule=100 place=1 text=divert 2000 $echoes 5"
has "a rule's bytes" "ipdivert_rule_bytes_total rule=100 place=1 text=divert 2000 $echoes 420"
has "a rule of the same number, with letters that are escaped" \
	"ipdivert_rule_packets_total rule=100 place=2 text=count $echoes // say \"it\\\" with a \\ 0"
like "the default rule" "$(grep 'packets_total rule=65535' "$TMP/samples")" " place=1 text=allow ip from any to any [0-9]+$"
has "loaded" "ipdivert_engine_loaded 1"
like "the version" "$(grep ^ipdivert_engine_info "$TMP/samples")" \
	"^ipdivert_engine_info version=$(q divertctl --version | sed 's/.* //') layout=[0-9]+ 1$"
like "since when" "$(grep ^ipdivert_engine_load_time_seconds "$TMP/samples")" " $(date +%s | cut -c1-7)[0-9]{3}$"
is "each cause that stat -a has, of each port" \
	"$(sed -n 's/^ipdivert_packets_total port=2000 .*cause=\(.*\) .*/\1/p' "$TMP/samples" | sort)" \
	"$(q divertctl stat -a 2000 | awk '$1 ~ /^[0-9]+$/ && $2 != "lost-on-entry" {print $2}' | sort)"

metrics 2001
is "of one port" "$(sed -n 's/.*port=\([^ ]*\) .*/\1/p' "$TMP/samples" | sort -u)" 2001
is "of one port: no rules" "$(grep -c rule= "$TMP/samples")" 0
q divertctl stat -m 4711 >"$TMP/out" 2>"$TMP/err"
is "of a port that is none: status" $? 1
is "of a port that is none" "$(cat "$TMP/out" "$TMP/err")" \
	"divertctl: port 4711: no rule and no socket names it"
q divertctl stat -m -a -m 2000 >"$TMP/out"
is "-a and -m: the same" "$(cat "$TMP/out")" "$(q divertctl stat -m 2000)"
stop back

# ---- the service and its timer ----

units=$STAGE/lib/systemd/system
if command -v systemd-analyze >/dev/null; then
	said=$(systemd-analyze verify --man=no "$units"/ipdivert-metrics.{service,timer} 2>&1)
	is "systemd-analyze verify" "$? $said" "0 "
else
	echo "skip no systemd-analyze"
fi
is "the service and the timer ask for the directory that is written" \
	"$(sed -n 's/^\(ConditionPathIsDirectory\|WorkingDirectory\)=//p' "$units"/ipdivert-metrics.* | sort -u)" \
	/var/lib/prometheus/node-exporter
# service: does what systemd does with ExecStart, with these capabilities alone
service() {
	local line caps
	line=$(sed -n "s|^ExecStart=/bin/sh -c '\(.*\)'$|\1|p" "$units/ipdivert-metrics.service")
	caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$units/ipdivert-metrics.service" |
		tr 'A-Z' 'a-z' | sed 's/cap_/+/g; s/ /,/g')
	(cd "$TMP/dir" && umask 022 && q setpriv --bounding-set=-all,"$caps" --inh-caps=-all,"$caps" sh -c "$line")
}
mkdir "$TMP/dir"
chown nobody "$TMP/dir"
works "the service" service
is "it has written" "$(cd "$TMP/dir" && stat -c '%n %a' -- *)" "ipdivert.prom 644"
works "the format" samples "$TMP/dir/ipdivert.prom"
has "what is in it" "ipdivert_packets_total port=2000 family=inet cause=diverted 5"
r divertctl unload
works "the service without an engine" service
is "it says so" "$(grep -v '^#' "$TMP/dir/ipdivert.prom")" "ipdivert_engine_loaded 0"
mkdir "$TMP/bin"
printf '#!/bin/sh\necho half\nexit 1\n' >"$TMP/bin/divertctl"
chmod +x "$TMP/bin/divertctl"
units=$TMP/bin
sed "s|$STAGE/sbin/divertctl|$TMP/bin/divertctl|" "$STAGE/lib/systemd/system/ipdivert-metrics.service" >"$TMP/bin/ipdivert-metrics.service"
fails "the service where divertctl fails" service
is "the file is as it was" "$(grep -v '^#' "$TMP/dir/ipdivert.prom")" "ipdivert_engine_loaded 0"
command -v promtool >/dev/null || echo "skip no promtool: progs/prom.py alone has checked the format"
