#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The capabilities that the manuals name are enough, for root and for other users, and none of them
# can be left out. All of it runs on r; a and b are beside it as lib.sh draws them.
. "$(dirname "$0")/lib.sh"
command -v setpriv >/dev/null || skip_all "no setpriv"
make_router

# Another user runs copies of these: the sources may lie where only root can read them.
chmod 755 "$TMP"
cp -R "$STAGE" "$TMP/stage"
cp "$HERE/py_reflect.py" "$PROGS/reflect" "$TMP"
PATH=$TMP/stage/bin:$TMP/stage/sbin:$PATH

full=net_admin,net_raw,sys_admin
# only USER CAPABILITIES: sets ${only[@]} to the words that start a command with just these
# capabilities
only() {
	local caps=-all,+${2//,/,+}

	only=(setpriv)
	[ "$1" = root ] || only+=(--reuid "$1" --regid "$1" --clear-groups)
	only+=(--inh-caps "$caps" --ambient-caps "$caps" --bounding-set "$caps")
}

# ---- enough ----

for who in 65534 root; do
	only "$who" $full
	can() { works "$who, exactly the three: $*" r "${only[@]}" "$@" >>"$TMP/said" 2>&1; }

	can ipfw -q add 100 divert 2000 icmp from 10.1.0.1 to any in
	can ipfw -q add 200 divert 2001 icmp from 10.1.0.1 to any out
	can ipfw -q table 7 add 10.1.0.0/24
	can ipchains -A input -p TCP -j ACCEPT
	start look r "${only[@]}" interceptor -c 3 2000
	rm -f "$TMP/python.out"
	start python r "${only[@]}" divert-run python3 "$TMP/py_reflect.py" 2001 3
	wait_for 10 "interceptor" grep -q listening "$TMP/look.err"
	wait_for 10 "Python" grep -q bound "$TMP/python.out"
	works "$who, exactly the three: pings through both programs" ping_ a 10.2.0.1 3
	wait "${pid_look:-}"
	is "$who, exactly the three: interceptor: status" $? 0
	wait "${pid_python:-}"
	is "$who, exactly the three: Python under divert-run: status" $? 0
	is "$who, exactly the three: interceptor saw them" "$(wc -l <"$TMP/look.out")" 3
	is "$who, exactly the three: Python saw them" "$(grep -c 'out IPv4' "$TMP/python.out")" 3
	is "$who, exactly the three: ipfw show" \
		"$(q "${only[@]}" ipfw show 100 200 | awk '{ print $1, $2 }' | xargs)" "00100 3 00200 3"
	for command in "ipfw zero" "ipfw delete 100 200" "ipfw table 7 list" "ipchains -L -n" \
		"ipchains-save" "divertctl status" "divertctl stat" "divertctl set pass-through on" \
		"divertctl attach" "divertctl upgrade" "ipfw -q -f flush" "divertctl unload"; do
		# shellcheck disable=SC2086 # words
		can $command
	done
	is "$who, exactly the three: nothing is left" "$(q divertctl status)" "engine: not loaded"
done

# ---- none too many: tested as another user, since root may write to root's files in /proc/sys ----

needs="needs root (CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN)"
# refused WHAT COMMAND...: run with ${only[@]}, the command is refused, with that sentence
refused() {
	local what=$1
	shift
	fails "$what" q timeout 10 "${only[@]}" "$@" >"$TMP/out" 2>"$TMP/err"
	like "$what: told" "$(cat "$TMP/err")" "${needs//[()]/.}"
}
for state in "not loaded" loaded; do
	for without in net_admin net_raw sys_admin; do
		r divertctl unload 2>/dev/null
		[ "$state" != loaded ] || r ipfw -q add 100 count icmp from 192.0.2.1 to any
		rest=,$full,
		rest=${rest/,$without,/,}
		rest=${rest#,}
		only 65534 "${rest%,}"
		what="engine $state, without CAP_${without^^}"
		refused "$what: interceptor" interceptor -c 1 2000
		like "$what: interceptor names it" "$(cat "$TMP/err")" "lacks CAP_${without^^}$"
		is "$what: a socket" "$(q timeout 10 "${only[@]}" divert-run "$TMP/reflect" 2001 2>&1)" \
			"reflect: socket: EPERM"
		[ $without = net_raw ] && continue
		refused "$what: ipfw add" ipfw add 300 count ip from any to any
		refused "$what: ipchains" ipchains -A input -j ACCEPT
		if [ "$state" = loaded ]; then
			refused "$what: divertctl attach" divertctl attach
			refused "$what: divertctl unload" divertctl unload
		fi
	done
done

# ---- rules need two capabilities, to list them needs one: ipfw(8) ----

r divertctl unload
only 65534 net_admin,sys_admin
works "rules: CAP_NET_ADMIN and CAP_SYS_ADMIN load the engine" \
	r "${only[@]}" ipfw -q add 100 divert 2000 icmp from 192.0.2.1 to any
works "rules: and change them" r "${only[@]}" ipfw -q delete 100
works "rules: and remove it" r "${only[@]}" divertctl unload
r ipfw -q add 100 count ip from any to any
only 65534 sys_admin
like "rules: CAP_SYS_ADMIN looks at them" "$(q "${only[@]}" ipfw list 2>&1)" "^00100 count"
like "rules: and at those of ipchains" "$(q "${only[@]}" ipchains -L 2>&1)" "^Chain input"
only 65534 bpf,perfmon,net_admin,net_raw
refused "CAP_BPF and CAP_PERFMON do not replace CAP_SYS_ADMIN: interceptor" interceptor -c 1 2000
