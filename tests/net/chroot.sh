#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/distro/run does no harm to its host: it refuses a directory through which it could write to
# the host's files. The directory in this test has just enough of a chroot to be accepted as one.
. "$(dirname "$0")/lib.sh"
root=$TMP/root

mkdir -p "$root/etc" "$root/root" "$root/usr/sbin" "$TMP/home/ipdivert"
touch "$root/etc/debian_version" "$TMP/home/ipdivert/mine"
echo VERSION_CODENAME=bookworm >"$root/etc/os-release"

ln -s / "$TMP/host"
# Everything is read-only, so that nothing is lost if run does not refuse. This tree may lie below
# /root, so the test uses a copy.
mkdir -p "$TMP/tree/tests/distro"
cp "$TOP/tests/distro/run" "$TMP/tree/tests/distro/"
said=$(unshare --mount --propagation private bash -c \
	'mount -t tmpfs none /root && mount -o remount,bind,ro / && DISTRO_ROOT=$1 "$2" bookworm true 2>&1' - "$TMP/host" "$TMP/tree/tests/distro/run")
like "distro/run: a link to the host's root is refused" "$said" "'$TMP/host' is this host itself"

said=$(unshare --mount --propagation private bash -c \
	'mount --bind "$1" "$2/root" && DISTRO_ROOT=$2 "$3" bookworm true 2>&1' - "$TMP/home" "$root" "$TOP/tests/distro/run")
like "distro/run: a chroot with something mounted in it is refused" "$said" "'$root/root' is mounted in the chroot"
works "distro/run: what is mounted there stays" test -e "$TMP/home/ipdivert/mine"

if git -c safe.directory="$TOP" -C "$TOP" rev-parse -q --verify HEAD >/dev/null && [ -e /etc/resolv.conf ]; then
	echo "the host's" >"$TMP/resolv"
	ln -sf "$TMP/resolv" "$root/etc/resolv.conf"
	# The run ends there, since this chroot has no directory for /proc.
	DISTRO_ROOT=$root "$TOP/tests/distro/run" bookworm true >"$TMP/log" 2>&1
	is "distro/run: a link to the host's resolv.conf is not written through" "$(cat "$TMP/resolv")" "the host's"
	works "distro/run: the chroot has a copy" cmp /etc/resolv.conf "$root/etc/resolv.conf"
else
	echo "skip no repository here"
fi
