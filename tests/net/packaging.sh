#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What `make install` puts beside the programs: the systemd unit that loads /etc/ipfw.rules, the udev
# rule for interfaces that appear later, the example of rules, completion for bash and zsh. Without
# systemd and udev running: what their files say is checked by their tools, where those are there,
# and then done by hand.
. "$(dirname "$0")/lib.sh"
top=$(cd "$(dirname "$0")/../.." && pwd)
make_router
q() { ip netns exec "$NS-r" "$@"; } # as r, without its echo

# ---- the unit ----

unit=$STAGE/lib/systemd/system/ipfw.service
if command -v systemd-analyze >/dev/null; then
	said=$(systemd-analyze verify --man=no "$unit" 2>&1)
	is "ipfw.service: systemd-analyze verify: status" $? 0
	is "ipfw.service: and it has nothing to say" "$said" ""
else
	echo "skip no systemd-analyze"
fi

# does KEY: what the unit does, with $TMP/rules as /etc/ipfw.rules
does() {
	local line
	line=$(sed -n "s/^$1=//p" "$unit")
	like "ipfw.service: $1 is one of ours" "$line" "^$STAGE/sbin/ipfw "
	# shellcheck disable=SC2086 # words
	q ${line//\/etc\/ipfw.rules/$TMP/rules} </dev/null >"$TMP/out" 2>&1
}
example=$STAGE/share/doc/ipdivert/ipfw.rules
q ipfw -n "$example" >"$TMP/checked" 2>"$TMP/err"
is "ipfw.rules: ipfw -n" $? 0
cp "$example" "$TMP/rules"
works "ipfw.service: start" does ExecStart
is "start says nothing" "$(cat "$TMP/out")" ""
is "start: the rules are those that -n shows" "$(q ipfw list)" "$(cat "$TMP/checked")
65535 allow ip from any to any"
rules=$(q ipfw list)
echo "add 500 frobnicate" >>"$TMP/rules"
fails "ipfw.service: reload with an error in the file" does ExecReload
like "which is told" "$(cat "$TMP/out")" "frobnicate"
is "and the rules are as before" "$(q ipfw list)" "$rules"
printf 'flush\nadd 100 count ip from any to any\n' >"$TMP/rules"
works "ipfw.service: reload" does ExecReload
is "reload: the new rules" "$(q ipfw list)" "00100 count ip from any to any
65535 allow ip from any to any"
works "ipfw.service: stop" does ExecStop
is "stop: no rules" "$(q ipfw list)" "65535 allow ip from any to any"

# ---- udev ----

udev=$STAGE/lib/udev/rules.d/60-ipdivert.rules
if command -v udevadm >/dev/null && udevadm verify --help >/dev/null 2>&1; then
	works "60-ipdivert.rules: udevadm verify" udevadm verify --resolve-names=never "$udev"
else
	echo "skip no udevadm that verifies"
fi
run=$(sed -n 's/^ACTION=="add", SUBSYSTEM=="net", RUN+="\([^"]*\)"$/\1/p' "$udev")
like "60-ipdivert.rules: its one rule runs divertctl" "$run" "^$STAGE/sbin/divertctl attach .*env\{IFINDEX\}"
is "60-ipdivert.rules: and there is no other" "$(grep -vc '^#' "$udev")" 1
# appears INTERFACE: what udev does then; the index is in the event, as in the interface's uevent file
appears() {
	local index
	index=$(q sed -n 's/^IFINDEX=//p' "/sys/class/net/$1/uevent")
	# shellcheck disable=SC2086 # words
	q env -i ${run//\$env\{IFINDEX\}/$index}
}
hooks() { q tc filter show dev "$1" ingress 2>/dev/null | grep -c divert_in; }
r ip link add a-long-name0 type veth peer name v1
works "an interface appears" appears a-long-name0
is "it is hooked" "$(hooks a-long-name0)" 1
r divertctl unload
r ip link add v2 type veth peer name v3
works "an interface appears where no engine is loaded" appears v2
is "none is loaded for it" "$(q divertctl status)" "engine: not loaded"

# ---- completion ----

# completes LINE EXPECTED...: TAB at the end of the line offers these, among others
completes() {
	local got word line=$1
	got=$(q bash --norc -c '
		. "$STAGE/share/bash-completion/completions/ipfw" || exit
		read -ra COMP_WORDS <<<"$1"
		[[ $1 == *" " ]] && COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		spec=$(complete -p "${COMP_WORDS[0]}") || exit
		spec=${spec##*-F }
		${spec%% *}
		printf "%s\n" "${COMPREPLY[@]}"' bash "$line" 2>&1 </dev/null)
	shift
	for word in "$@"; do
		if grep -qxF -e "$word" <<<"$got"; then ok "'$line' TAB: $word"; else
			not_ok "'$line' TAB: no $word in: ${got//$'\n'/ }"; fi
	done
}
r ipfw -q add 1000 divert 4711 ip from any to any
r ipfw -q add 2000 tee 4712 ip from any to any
r ipfw -q table clients create type flow
q ipchains -N mychain
completes "ipfw " add delete list show zero flush -q -n --version
completes "ipfw -q f" flush
completes "ipfw add 100 " allow deny count divert tee skipto
completes "ipfw add di" divert
completes "ipfw add 100 divert " natd 4711 4712
completes "ipfw add 100 divert 2000 " ip tcp udp icmp ipv6-icmp from
completes "ipfw add 100 divert 2000 ip " from
completes "ipfw add 100 divert 2000 ip from " any
completes "ipfw add 100 divert 2000 ip from any " to
completes "ipfw add 100 divert 2000 ip from any to any " in out via recv xmit bypass fwmark icmptypes
completes "ipfw add 100 divert 2000 ip from any to any via r" r0 r1
completes "ipfw add 100 skipto " 1000 2000
completes "ipfw delete 1" 1000
completes "ipfw table " all clients
completes "ipfw table cl" clients
completes "ipfw table clients " create swap lock atomic detail
completes "ipfw table clients swap " clients
completes "ipfw table new create " type limit or-flush
completes "ipfw table new create type " addr flow
completes "ipfw add 100 allow ip from any to any flow " clients
completes "ipchains -A " input output forward mychain
completes "ipchains -A input -i " r0 lo
completes "ipchains -A input -p ICMP -j " ACCEPT DENY REJECT DIVERT mychain
completes "ipchains -P input " ACCEPT DENY
completes "ipchains -" -A -L -j --line-numbers
completes "divertctl attach " r0 r1 -l
completes "divertctl set " pass-through
completes "divertctl set pass-through " on off
completes "divertctl stat " -a 4711
completes "divertctl upgrade " -f
completes "interceptor -" -c -n -q -w -x
completes "interceptor 47" 4711 4712
completes "divert-run -" -v
completes "divert-run ba" bash
# the commands that divertctl itself lists, and ipfw
# shellcheck disable=SC2046
completes "divertctl " $(q divertctl --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
# shellcheck disable=SC2046
completes "ipfw " $(q ipfw --help | sed -n 's/^       ipfw \[[^]]*\] \([a-z]*\).*/\1/p')
for name in ipchains divertctl interceptor divert-run; do
	is "bash finds it for $name" "$(readlink "$STAGE/share/bash-completion/completions/$name")" ipfw
done
is "no place was left open" "$(grep -l '@[A-Z]*@' "$STAGE"/share/bash-completion/completions/* \
	"$STAGE"/share/zsh/site-functions/* "$unit" "$udev")" ""
zsh=$STAGE/share/zsh/site-functions/_ipdivert
is "zsh: for all of them" "$(head -1 "$zsh")" "#compdef ipfw ipchains divertctl interceptor divert-run"
if command -v zsh >/dev/null; then
	works "zsh -n" zsh -n "$zsh"
	# zcompletes LINE EXPECTED: as zsh calls it, with a compadd that prints
	zcompletes() {
		local got
		# shellcheck disable=SC2016 # zsh expands it
		got=$(q zsh -f -c '
			compadd() {
				if [[ $1 == -a ]]; then print -l -- ${(P)2}; else print -l -- "$@"; fi
			}
			_files() { }
			words=(${(s: :)1}) service=${1%% *}
			[[ $1 == *" " ]] && words+=("")
			CURRENT=$#words
			source $2' zsh "$1" "$zsh" 2>&1)
		if grep -qxF -e "$2" <<<"$got"; then ok "zsh: '$1' TAB: $2"; else
			not_ok "zsh: '$1' TAB: no $2 in: ${got//$'\n'/ }"; fi
	}
	zcompletes "ipfw " add
	zcompletes "ipfw add 100 " divert
	zcompletes "ipfw add 100 divert " 4711
	zcompletes "ipfw add 100 divert 4711 " udp
	zcompletes "ipfw add 100 divert 4711 ip from any " to
	zcompletes "ipfw add 100 divert 4711 ip from any to any " via
	zcompletes "ipfw add 100 divert 4711 ip from any to any via " r0
	zcompletes "ipfw delete " 1000
	zcompletes "ipfw table " clients
	zcompletes "ipfw table clients " swap
	zcompletes "ipfw table new create type flow " limit
	zcompletes "ipchains -A " mychain
	zcompletes "ipchains -A input -j " DIVERT
	zcompletes "divertctl " upgrade
	zcompletes "divertctl set pass-through " on
else
	echo "skip no zsh"
fi

# ---- the examples' sources ----

works "the examples are installed" diff -r "$top/examples" "$STAGE/share/doc/ipdivert/examples"
