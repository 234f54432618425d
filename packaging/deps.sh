# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The packages that building and testing need, and how to get them. quickstart and check source it.
#
#	need_packages GROUP...		installs missing packages, or names them and fails
#
# Each line has a group, a probe, and the package of Debian and Ubuntu. The probes:
#	cmd:NAME	a command	h:FILE	a header	run:NAME	a function
# If "|" separates several packages, the first one that the release has is installed.
DEPS='
build	cmd:make		make
build	cmd:cc			gcc
build	h:stdio.h		libc6-dev
build	h:linux/bpf.h		linux-libc-dev
build	cmd:clang		clang
build	cmd:llvm-strip		llvm
build	run:has_bpftool		bpftool|linux-tools-generic
build	cmd:pkg-config		pkg-config
build	h:bpf/libbpf.h		libbpf-dev
build	h:libmnl/libmnl.h	libmnl-dev
build	h:liburing.h		liburing-dev
build	h:pcap/pcap.h		libpcap-dev
build	h:gelf.h		libelf-dev
demo	cmd:ip			iproute2
demo	cmd:ping		iputils-ping
test	run:has_cmocka		libcmocka-dev
test	run:has_fuzzer		libclang-rt-dev|libclang-rt-14-dev
test	cmd:clang-format	clang-format
test	cmd:shellcheck		shellcheck
test	cmd:mandoc		mandoc
test	cmd:tcpdump		tcpdump
test	cmd:iperf3		iperf3
test	cmd:socat		socat
test	cmd:nc			netcat-openbsd
test	cmd:curl		curl
test	cmd:git			git
test	cmd:python3		python3
test	cmd:ruby		ruby
test	cmd:ethtool		ethtool
test	cmd:wg			wireguard-tools
test	cmd:nft			nftables
test	cmd:iptables		iptables
test	cmd:sysctl		procps
test	cmd:traceroute		traceroute
test	cmd:dnsmasq		dnsmasq-base
test	cmd:busybox		busybox
test	cmd:mawk		mawk
test	cmd:gawk		gawk
test	cmd:original-awk	original-awk
test	cmd:musl-gcc		musl-tools
test	cmd:setpriv		util-linux
test	cmd:valgrind		valgrind
test	cmd:strace		strace
test	cmd:zsh			zsh
test	cmd:gnuplot		gnuplot-nox
test	h:event2/event.h	libevent-dev
test	h:libnetfilter_queue/libnetfilter_queue.h	libnetfilter-queue-dev
bench	cmd:ip			iproute2
bench	cmd:taskset		util-linux
bench	cmd:sysctl		procps
bench	cmd:git			git
bench	cmd:python3		python3
bench	cmd:iperf3		iperf3
bench	cmd:nft			nftables
bench	cmd:iptables		iptables
bench	cmd:gnuplot		gnuplot-nox
bench	cmd:perf		linux-perf|linux-tools-generic
bench	h:libnetfilter_queue/libnetfilter_queue.h	libnetfilter-queue-dev
'

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Ubuntu's bpftool is a script that insists on one for the running kernel. Any version will do.
has_bpftool() {
	local f

	for f in ${BPFTOOL:+"$BPFTOOL"} bpftool /usr/lib/linux-tools/*/bpftool; do
		if "$f" version >/dev/null 2>&1; then
			[ "$f" = bpftool ] || export BPFTOOL=$f
			return 0
		fi
	done
	return 1
}

# cmocka.h needs other headers before it
has_cmocka() {
	printf '#include <%s>\n' stdarg.h stddef.h stdint.h setjmp.h cmocka.h |
		${CC:-cc} -fsyntax-only -x c - 2>/dev/null
}

has_fuzzer() {
	echo 'int LLVMFuzzerTestOneInput(const char *d, long n); int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }' |
		clang -fsanitize=fuzzer,address,undefined -x c - -o /dev/null 2>/dev/null
}

# is_there PROBE: whether it is installed
is_there() {
	case $1 in
	cmd:*) command -v "${1#cmd:}" >/dev/null ;;
	h:*) echo "#include <${1#h:}>" | ${CC:-cc} -E -x c - >/dev/null 2>&1 ;;
	run:*) "${1#run:}" ;;
	esac
}

# missing GROUP...: the missing packages, one a line
missing() {
	local group probe package

	while read -r group probe package; do
		case " $* " in
		*" $group "*) is_there "$probe" || echo "$package" ;;
		esac
	done <<<"$DEPS"
}

# The first of "a|b" that apt can install.
available() {
	local p IFS='|'

	for p in $1; do
		if apt-cache policy "$p" 2>/dev/null | grep -q 'Candidate: [^(]'; then
			echo "$p"
			return
		fi
	done
	echo "${1%%|*}"
}

need_packages() {
	local -a want=() packages=()
	local p log

	mapfile -t want < <(missing "$@")
	if [ ${#want[@]} -gt 0 ]; then
		if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
			echo "missing, by the names of Debian's packages: ${want[*]}" >&2
			command -v apt-get >/dev/null && echo "as root, this installs them" >&2
			return 1
		fi
		log=$(mktemp)
		export DEBIAN_FRONTEND=noninteractive
		apt-get -q update >"$log" 2>&1 # a stale list may do as well
		for p in "${want[@]}"; do packages+=("$(available "$p")"); done
		echo "installing: ${packages[*]}"
		if ! apt-get -q -y --no-install-recommends install "${packages[@]}" >>"$log" 2>&1; then
			cat "$log" >&2
			rm -f "$log"
			return 1
		fi
		rm -f "$log"
		hash -r
		mapfile -t want < <(missing "$@")
		if [ ${#want[@]} -gt 0 ]; then
			echo "still missing: ${want[*]}" >&2
			return 1
		fi
	fi
	case " $* " in
	*" build "*) has_bpftool ;; # the subshells above could not export it
	esac
}
