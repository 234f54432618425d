#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What tests/distro/run does not do to its host: it takes no directory from which it could write to
# the host's files. The directory here has just enough of a chroot to be taken for one.
. "$(dirname "$0")/lib.sh"
root=$TMP/root

mkdir -p "$root/etc" "$root/root" "$root/usr/sbin" "$TMP/home/ipdivert"
touch "$root/etc/debian_version" "$TMP/home/ipdivert/mine"
echo VERSION_CODENAME=bookworm >"$root/etc/os-release"

ln -s / "$TMP/host"
# read-only, lest something be lost if it were not refused; this tree may lie below /root
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
	DISTRO_ROOT=$root "$TOP/tests/distro/run" bookworm true >"$TMP/log" 2>&1 # this chroot has no directory for /proc: it ends there
	is "distro/run: a link to the host's resolv.conf is not written through" "$(cat "$TMP/resolv")" "the host's"
	works "distro/run: the chroot has a copy" cmp /etc/resolv.conf "$root/etc/resolv.conf"
else
	echo "skip no repository here"
fi
