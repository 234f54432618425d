#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Programs of a control group (BPF_CGROUP_INET_INGRESS and _EGRESS) beside divert rules, on r. The
# program that drops what a process sends comes before any rule. The program that drops what it
# receives comes after all rules.
#
#	r:  process  --  cgroup  --  rules  --  r1  ----  b0 b
. "$(dirname "$0")/lib.sh"
# the file systems mounted here are for this test only
[ -n "${OWN_MOUNTS-}" ] || { cleanup && OWN_MOUNTS=1 exec unshare -m bash "$0"; }
make_router

mount -t cgroup2 none /mnt 2>/dev/null && mount -t bpf none /media 2>/dev/null ||
	skip_all "no cgroup2 here, or no BPF file system"
group=/mnt/$NS
leave() {
	local p
	for p in $(cat "$group/cgroup.procs" 2>/dev/null); do echo "$p" >/mnt/cgroup.procs; done
	rmdir "$group"
}
mkdir "$group"
trap 'rc=$?; leave 2>/dev/null; finish $rc' EXIT

clang -O2 -g -target bpf -x c -c -o "$TMP/group.o" - "-I/usr/include/$(cc -print-multiarch)" <<-'END'
	#include <linux/bpf.h>
	#include <bpf/bpf_helpers.h>
	SEC("cgroup_skb/ingress") int drop_in(struct __sk_buff *skb) { return 0; }
	SEC("cgroup_skb/egress") int drop_out(struct __sk_buff *skb) { return 0; }
	char _license[] SEC("license") = "GPL";
END
bpftool prog loadall "$TMP/group.o" /media/group 2>"$TMP/err" || skip_all "this kernel has no such programs: $(tail -1 "$TMP/err")"

# in_group COMMAND...: runs a command on r, in the group
in_group() { nq r bash -c 'echo $$ >"$0" && exec "$@"' "$group/cgroup.procs" "$@"; }
counts() { echo "$(packets r 100) $(count out received) $(packets r 200) $(packets r 300) $(count in received) $(packets r 400)"; }
# try WORKS WHAT COUNTED: sends three pings to b, with reflectors in both directions
try() {
	local works=$1 what=$2
	r ipfw -q zero
	reflect out r 2000
	reflect in r 2001
	"$works" "$what" in_group ping -q -n -i 0.05 -W 1 -c 3 "$to"
	stop out
	stop in
	is "$what: sent: before, read, behind; received: before, read, behind" "$(counts)" "$3"
}
for to in 10.2.0.1 fd02::1; do
	if [ $to = 10.2.0.1 ]; then echo="icmp from any to any"; else echo="ipv6-icmp from any to any icmp6types 128,129"; fi
	r ipfw -q flush
	r ipfw -q add 100 count $echo out xmit r1
	r ipfw -q add 150 divert 2000 $echo out xmit r1
	r ipfw -q add 200 count $echo out xmit r1
	r ipfw -q add 300 count $echo in recv r1
	r ipfw -q add 350 divert 2001 $echo in recv r1
	r ipfw -q add 400 count $echo in recv r1
	try works "$to, no program" "3 3 3 3 3 3"
	bpftool cgroup attach "$group" egress pinned /media/group/drop_out || skip_all "this kernel attaches no such programs"
	try fails "$to, dropped on the way out" "0 0 0 0 0 0"
	bpftool cgroup detach "$group" egress pinned /media/group/drop_out
	bpftool cgroup attach "$group" ingress pinned /media/group/drop_in
	try fails "$to, dropped on the way in" "3 3 3 3 3 3"
	bpftool cgroup detach "$group" ingress pinned /media/group/drop_in
	try works "$to, no program any more" "3 3 3 3 3 3"
done
