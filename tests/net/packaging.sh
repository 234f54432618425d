#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `make install` also installs the systemd unit that loads /etc/ipfw.rules, the udev rule for
# interfaces that appear later, and the examples. Neither systemd nor udev need run: their tools
# check the files if they are installed, and then the test does by hand what the files say.
# completion.sh tests the completion.
. "$(dirname "$0")/lib.sh"
make_router

# ---- the unit ----

unit=$STAGE/lib/systemd/system/ipfw.service
if command -v systemd-analyze >/dev/null; then
	said=$(systemd-analyze verify --man=no "$unit" 2>&1)
	is "ipfw.service: systemd-analyze verify: status" $? 0
	is "ipfw.service: and it has nothing to say" "$said" ""
else
	echo "skip no systemd-analyze"
fi

# does KEY: runs what the unit has for KEY, with $TMP/rules as /etc/ipfw.rules
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
is "start without the file's interface: told" "$(cat "$TMP/out")" "ipfw: eth0: no such interface; 'ip link' lists them"
r ip link add eth0 type veth peer name eth1
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
run=$(sed -n 's/^ACTION=="add|move", SUBSYSTEM=="net", RUN+="\([^"]*\)"$/\1/p' "$udev")
like "60-ipdivert.rules: its one rule runs divertctl" "$run" "^$STAGE/sbin/divertctl attach .*env\{IFINDEX\}"
is "60-ipdivert.rules: and there is no other" "$(grep -vc '^#' "$udev")" 1
# appears INTERFACE: does what udev does then; the event has the index, as the interface's uevent
# file does
appears() {
	local index
	index=$(with_sys r sed -n 's/^IFINDEX=//p' "/sys/class/net/$1/uevent")
	# shellcheck disable=SC2086 # words
	q env -i ${run//\$env\{IFINDEX\}/$index}
}
hooks() { hooks_of "$1" in | wc -l; }
r ipfw -q add 100 count ip from any to any in recv 'a-long*'
r ip link add a-long-name0 type veth peer name v1
works "an interface appears" appears a-long-name0
is "it is hooked" "$(hooks a-long-name0)" 1
works "one appears that no rule is for" appears v1
is "it is not hooked" "$(hooks v1)" 0
r ip link set v1 name a-long-name1
works "it has another name now" appears a-long-name1
is "by which it is hooked" "$(hooks a-long-name1)" 1
r divertctl unload
r ip link add v2 type veth peer name v3
works "an interface appears where no engine is loaded" appears v2
is "none is loaded for it" "$(q divertctl status)" "engine: not loaded"

# ---- all files ----

is "no place was left open" "$(grep -l '@[A-Z]*@' "$STAGE"/share/bash-completion/completions/* \
	"$STAGE"/share/zsh/site-functions/* "$unit" "$udev")" ""

works "the examples are installed" diff -r "$TOP/examples" "$STAGE/share/doc/ipdivert/examples"
