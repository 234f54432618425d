#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The words that TAB offers in bash and in zsh, for each tool, are the same in both, and nothing
# appears on standard error. For bash the test calls the function that `complete` names. zsh runs as
# an interactive shell on a terminal (progs/completion.zsh).
. "$(dirname "$0")/lib.sh"
make_router

r ipfw -q add 1000 divert 4711 ip from any to any
r ipfw -q add 2000 tee 4712 ip from any to any
r ipfw -q table clients create type flow
q ipchains -N mychain

# offers LINE WORD...: TAB at the end of the line offers these words, among others
lines=() wanted=()
offers() {
	lines+=("$1")
	shift
	wanted+=("$*")
}

# ---- ipfw ----

# the words are the commands that ipfw itself lists
# shellcheck disable=SC2046
offers "ipfw " $(q ipfw --help | sed -n 's/^       ipfw \[[^]]*\] \([a-z]*\).*/\1/p')
offers "ipfw " add delete list show zero flush -q -n --version
offers "ipfw -q f" flush
offers "ipfw -" -a -b -c -f -i -N -n -p -q -S -t -T --help
offers "ipfw add " allow deny count divert tee skipto
offers "ipfw add 100 " allow deny unreach unreach6 reset reset6 count divert tee fwd forward skipto call return reass
offers "ipfw add di" divert
offers "ipfw add 100 divert " natd 4711 4712
offers "ipfw add 100 skipto " 1000 2000
offers "ipfw add 100 call " 1000 2000
offers "ipfw add 100 unreach " net port filter-prohib
offers "ipfw add 100 unreach6 " no-route address
offers "ipfw add 100 divert 2000 " ip tcp udp icmp ipv6-icmp from
offers "ipfw add 100 divert 2000 ip " from
offers "ipfw add 100 divert 2000 ip from " any me
offers "ipfw add 100 divert 2000 ip from any " to
offers "ipfw add 100 divert 2000 ip from any to any " in out via recv xmit bypass fwmark icmptypes
offers "ipfw add 100 divert 2000 ip from any to any via " r0 r1 lo
offers "ipfw add 100 divert 2000 ip from any to any via r" r0 r1
offers "ipfw add 100 allow ip from any to any flow " clients
offers "ipfw delete 1" 1000
offers "ipfw -q zero " 1000 2000
offers "ipfw set " show disable enable move swap 31
offers "ipfw set disable 4 " enable 5
offers "ipfw set move rule " 1000 2000
offers "ipfw set move rule 1000 " to
offers "ipfw set move 3 " to
offers "ipfw set move 3 to " 0 31
offers "ipfw set 5 " delete list show zero resetlog flush
offers "ipfw set 5 show " 1000
offers "ipfw disable " firewall
offers "ipfw enable " firewall
offers "ipfw log " -f
offers "ipfw table " all clients
offers "ipfw table cl" clients
offers "ipfw table all " list info detail flush destroy
offers "ipfw table clients " create swap lock atomic detail
offers "ipfw table clients swap " clients
offers "ipfw table clients atomic " add
offers "ipfw table clients modify " limit
offers "ipfw table new create " type limit or-flush
offers "ipfw table new create type " addr number iface flow
offers "ipfw table new create type flow " limit
offers "ipfw table new create valtype " legacy skipto divert ipv4

# ---- ipchains ----

# the long flags that ipchains itself lists
# shellcheck disable=SC2046
offers "ipchains -" $(q ipchains --help | grep -oE -e '--[a-z][a-z-]+')
offers "ipchains -" -A -D -R -I -C -L -F -Z -N -X -P -p -s -d -i -j -y -f -l -b -n -v -x
offers "ipchains -A input --s" --source --source-port --syn
offers "ipchains -A " input output forward mychain
offers "ipchains --flush " mychain
offers "ipchains -A input -i " r0 lo
offers "ipchains -A input --interface r" r0 r1
offers "ipchains -A input -p " tcp udp icmp all
offers "ipchains -A input -p ICMP -j " ACCEPT DENY REJECT RETURN DIVERT mychain
offers "ipchains -A input --jump DIV" DIVERT
offers "ipchains -A input -j DIVERT " 4711
offers "ipchains -P " input output forward
offers "ipchains -P input " ACCEPT DENY REJECT
offers "ipchains --policy input " ACCEPT DENY REJECT
offers "ipchains-save " -v input mychain
offers "ipchains-restore -" -f -p -v

# ---- the others ----

# shellcheck disable=SC2046
offers "divertctl " $(q divertctl --help | sed -n 's/^  \([a-z]*\) .*/\1/p') --help --version
offers "divertctl attach " r0 r1 -l
offers "divertctl set " pass-through trains
offers "divertctl get " pass-through trains
offers "divertctl set pass-through " on off
offers "divertctl stat " -a -m 4711
offers "divertctl stat -a " 4711
offers "divertctl top " -d -n
offers "divertctl upgrade " -f
# shellcheck disable=SC2046
offers "interceptor -" $(q interceptor --help | grep -oE -e '^  -[a-zA-Z]') --help --version
offers "interceptor 47" 4711 4712
offers "interceptor -q " 4711 4712 tcp icmp
offers "interceptor icmp " from
offers "interceptor icmp from " any me
offers "interceptor icmp from any " to
offers "interceptor icmp from any to any " in out via
offers "interceptor icmp from any to any via r" r0 r1
offers "divert-run -" -r --rule -v --verbose --help --version
offers "divert-run ba" bash
offers "divert-run -r deny ba" bash

# ---- what the shells offer ----

# check SHELL: compares $TMP/got with the wanted words, line by line
check() {
	local -i i
	local got word
	local -a gets missing

	mapfile -t gets <"$TMP/got"
	for ((i = 0; i < ${#lines[@]}; i++)); do
		missing=()
		got=" ${gets[i]:-} "
		for word in ${wanted[i]}; do
			[[ $got == *" $word "* ]] || missing+=("$word")
		done
		is "$1: '${lines[i]}' TAB" "${wanted[i]:+words}, without ${missing[*]:-none}" \
			"words, without none"
	done
	is "$1: no error" "$(cat "$TMP/got.err")" ""
}

# calls the function that is set for the first word
in_bash='
. "$STAGE/share/bash-completion/completions/ipfw"
while IFS= read -r line; do
	read -ra COMP_WORDS <<<"$line"
	[[ $line == *" " ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	spec=$(complete -p "${COMP_WORDS[0]}")
	spec=${spec##*-F }
	COMPREPLY=()
	${spec%% *}
	echo "${COMPREPLY[@]}"
done'
printf '%s\n' "${lines[@]}" >"$TMP/lines"
with_sys r bash --norc -c "$in_bash" <"$TMP/lines" >"$TMP/got" 2>"$TMP/got.err"
check bash

tools=(ipfw ipchains ipchains-save ipchains-restore divertctl interceptor divert-run)
for name in "${tools[@]:1}"; do
	is "bash finds it for $name" "$(readlink "$STAGE/share/bash-completion/completions/$name")" ipfw
done
functions=$STAGE/share/zsh/site-functions
is "zsh: for all of them" "$(head -1 "$functions/_ipdivert")" "#compdef ${tools[*]}"

# A user who is not root sees no rules, and gets no error.
install -d -o nobody "$TMP/nobody"
chmod 711 "$TMP"
printf '%s\n' "ipfw delete " "ipfw table " "ipchains -A " "divertctl stat " "interceptor " >"$TMP/few"
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
with_sys r "${nobody[@]}" bash --norc -c "$in_bash" <"$TMP/few" >"$TMP/got" 2>"$TMP/got.err"
is "bash, not root: answers" "$(wc -l <"$TMP/got")" 5
is "bash, not root: no error" "$(cat "$TMP/got.err")" ""

if ! command -v zsh >/dev/null; then
	echo "skip no zsh"
	exit
fi
in_zsh=(zsh -f "$HERE/completion.zsh" "$functions")
with_sys r "${in_zsh[@]}" "$TMP/got" <"$TMP/lines"
case $? in
77) echo "skip no zsh/zpty" && exit ;;
0) ok "zsh: answers to all lines" ;;
*) not_ok "zsh: answers to all lines" ;;
esac
check zsh
cp "$HERE/completion.zsh" "$TMP/nobody"
in_zsh[2]=$TMP/nobody/completion.zsh
works "zsh, not root: answers" with_sys r "${nobody[@]}" "${in_zsh[@]}" "$TMP/nobody/got" <"$TMP/few"
is "zsh, not root: no error" "$(cat "$TMP/nobody/got.err")" ""
