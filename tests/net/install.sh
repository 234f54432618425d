#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `make install` installs directories and files with the right modes, and `make uninstall` removes
# them. Programs find the installed libraries. A second build of this tree, elsewhere, is the same
# byte for byte. Debian's packages are tested in tests/packages. The files in debian/ and the spec
# file agree with the sources.
# long: it builds everything again
. "$(dirname "$0")/lib.sh"

# make_ ARGUMENT...: runs make in the second tree; neither a umask nor the user may matter
second=$TMP/another/directory
mkdir -p "$second"
tar -C "$TOP" --exclude=./build --exclude=./.git -c . | tar -C "$second" -x
make_() {
	(umask 077 && env -u MAKEFLAGS -u MAKELEVEL make -s -C "$second" "$@") >"$TMP/log" 2>&1 ||
		{ cat "$TMP/log" && false; }
}
# rpaths DIRECTORY: the paths by which its files look for libraries
rpaths() { find "$1" -type f -exec readelf -d {} + 2>/dev/null | grep -E 'R(UN)?PATH' | sed 's/.*\[//; s/].*//' | sort -u | paste -sd' '; }

# ---- a tree of its own ----

one=$TMP/one
works "make install: PREFIX=/opt/ipdivert" make_ -j"$(nproc)" install PREFIX=/opt/ipdivert DESTDIR="$one"
tree=$one/opt/ipdivert
is "modes of directories, whatever umask" "$(find "$one" -mindepth 1 -type d ! -perm 755)" ""
is "modes of programs" "$(find "$tree"/bin "$tree"/sbin -type f ! -perm 755)" ""
is "modes of libraries, headers, pages" \
	"$(find "$tree" -type f ! -path '*bin/*' ! -perm 644)" ""
is "a second build elsewhere is the same, but for what names the prefix" \
	"$(diff -rq --no-dereference "$STAGE" "$tree" | awk '{ print $2 }' | sed "s|$STAGE/||" | sort)" \
	"lib/pkgconfig/libdivert-socket.pc
lib/pkgconfig/libdivert.pc
lib/systemd/system/ipdivert-metrics.service
lib/systemd/system/ipfw.service
lib/udev/rules.d/60-ipdivert.rules"
is "no file names the directory of the build" "$(grep -rl "$second" "$one")" ""
for file in LICENSE README.md CHANGELOG.md; do
	works "$file is installed" cmp "$TOP/$file" "$tree/share/doc/ipdivert/$file"
done

# ---- manual pages ----

for file in "$tree"/bin/* "$tree"/sbin/*; do
	name=${file##*/}
	works "$name has a manual page" test -e "$(echo "$tree"/share/man/man[18]/"$name".[18])"
done
# the interposer's own symbols are the C library's
functions=$(sed -n '/^LIBDIVERT_0/,/^}/s/^\t\t\([a-z_0-9]*\);/\1/p' "$TOP/lib/libdivert.map")
missing=()
for name in $functions; do
	[ -e "$tree/share/man/man3/$name.3" ] || missing+=("$name")
done
is "each function of libdivert has a manual page" "${missing[*]-}" ""
is "what is libdivert-socket's alone is in no header" \
	"$(grep -rl "divert_next\|divert_is_inner\|divert_keep_inner\|divert_move_inner" "$tree/include" "$tree/share/man")" ""

# ---- in place, with libraries in a directory for an architecture ----

place=$TMP/place
works "make install: in place, LIBDIR" make_ install PREFIX="$place" LIBDIR="$place/lib/some-linux-gnu"
is "the libraries are in LIBDIR" "$(cd "$place/lib/some-linux-gnu" && echo *)" \
	"libdivert-socket.so libdivert-socket.so.0 libdivert.so libdivert.so.0 pkgconfig"
is "programs find them from where they are" "$(rpaths "$place")" "\$ORIGIN \$ORIGIN/../lib/some-linux-gnu"
like "interceptor starts" "$("$place/bin/interceptor" --version)" "^interceptor "
like "divert-run takes the library beside it" "$("$place/bin/divert-run" -v true 2>&1)" \
	"LD_PRELOAD=$place/lib/some-linux-gnu/libdivert-socket.so.0 "
mv "$place" "$TMP/moved"
like "the tree is moved: interceptor starts" "$("$TMP/moved/bin/interceptor" --version)" "^interceptor "
like "the tree is moved: divert-run takes its library" "$("$TMP/moved/bin/divert-run" -v true 2>&1)" \
	"LD_PRELOAD=$TMP/moved/lib/some-linux-gnu/libdivert-socket.so.0 "
mv "$TMP/moved" "$place"
for package in libdivert libdivert-socket; do
	program=reflect
	[ $package = libdivert-socket ] || program=borrow
	# shellcheck disable=SC2046 # words
	works "$package: a program builds by pkg-config" cc -pthread -o "$TMP/$program" "$TOP/examples/$program.c" \
		$(PKG_CONFIG_PATH=$place/lib/some-linux-gnu/pkgconfig pkg-config --cflags --libs $package)
	like "$package: and finds the library" "$(ldd "$TMP/$program")" \
		"$package.so.0 => $place/lib/some-linux-gnu/"
done
works "a relative PREFIX" make_ install PREFIX=out
like "a relative PREFIX: files name it in full" "$(cat "$second/out/lib/pkgconfig/libdivert.pc")" "prefix=$second/out"

# ---- uninstall ----

# tree DIRECTORY: lists it
tree() { (cd "$1" && find . | sort); }
mkdir -p "$place/share/doc/other" "$place/lib/systemd/system"
touch "$place/bin/mine" "$place/lib/systemd/system/mine.service"
# others' manual pages with names that ours have, too: install leaves them alone
echo mine >"$TMP/other.3"
install -m 644 "$TMP/other.3" "$place/share/man/man3/other.3"
ln -sf other.3 "$place/share/man/man3/divert_recv.3"
install -m 644 "$TMP/other.3" "$place/share/man/man3/divert_send.3"
works "make install again: pages of others are there" make_ install PREFIX="$place" LIBDIR="$place/lib/some-linux-gnu"
works "make uninstall" make_ uninstall PREFIX="$place" LIBDIR="$place/lib/some-linux-gnu"
is "only what is somebody else's is left" "$(tree "$place")" ".
./bin
./bin/mine
./lib
./lib/systemd
./lib/systemd/system
./lib/systemd/system/mine.service
./share
./share/doc
./share/doc/other
./share/man
./share/man/man3
./share/man/man3/divert_recv.3
./share/man/man3/divert_send.3
./share/man/man3/other.3"
is "pages of others are as they were" "$(sort -u "$place"/share/man/man3/*)" mine
works "make uninstall: DESTDIR" make_ uninstall PREFIX=/opt/ipdivert DESTDIR="$one"
is "nothing is left but the prefix" "$(tree "$one")" ".
./opt
./opt/ipdivert"

# names that the shell or make would take for several, or for another place
mkdir -p "$TMP/a tree" "$TMP/a" "$TMP/b/usr/local/bin"
touch "$TMP/a/mine" "$TMP/b/usr/local/bin/ipfw"
cp "$second/Makefile" "$TMP/a tree/"
like "a tree below a directory with a space: make uninstall refuses it" \
	"$(make -s -C "$TMP/a tree" uninstall DESTDIR="$TMP/none" 2>&1)" "CURDIR is '$TMP/a tree': .*space"
works "a tree below a directory with a space: nothing is removed" test -e "$TMP/a/mine"
for variable in PREFIX DESTDIR LIBDIR; do
	like "make uninstall refuses a $variable with a space" \
		"$(make_ uninstall "$variable=$TMP/b $TMP/none" 2>&1)" "$variable is '$TMP/b $TMP/none': .*space"
done
works "a DESTDIR with a space: nothing is removed" test -e "$TMP/b/usr/local/bin/ipfw"
like "make install refuses a relative LIBDIR" "$(make_ install LIBDIR=lib64 DESTDIR="$TMP/none" 2>&1)" \
	"LIBDIR is 'lib64': it has to begin with /"
fails "nothing is installed then" test -e "$TMP/none"

# ---- /usr ----

usr=$TMP/usr
system=(PREFIX=/usr LIBDIR=/usr/lib/some-linux-gnu DESTDIR="$usr")
mkdir -p "$usr/usr/bin" "$usr/usr/share/doc" "$usr/usr/lib/some-linux-gnu"
chmod 2775 "$usr/usr/bin"
works "make install: PREFIX=/usr" make_ install "${system[@]}"
is "/usr: the mode of a directory that was there stays" "$(stat -c %a "$usr/usr/bin")" 2775
is "/usr: no rpath" "$(rpaths "$usr")" ""
is "/usr: none for those who use pkg-config" "$(PKG_CONFIG_PATH=$usr/usr/lib/some-linux-gnu/pkgconfig \
	pkg-config --libs --keep-system-libs libdivert libdivert-socket 2>&1 | grep -o rpath)" ""
like "/usr: the dynamic loader chooses divert-run's library" "$("$usr/usr/bin/divert-run" -v true 2>&1)" \
	"LD_PRELOAD=libdivert-socket.so.0 "
is "/usr: where systemd and udev look" "$(cd "$usr/usr/lib" && find . -name '*.service' -o -name '*.rules' | sort)" \
	"./systemd/system/ipdivert-metrics.service
./systemd/system/ipfw.service
./udev/rules.d/60-ipdivert.rules"
like "/usr: the unit runs the program there" "$(cat "$usr/usr/lib/systemd/system/ipfw.service")" \
	"ExecStart=/usr/sbin/ipfw "
works "make uninstall: PREFIX=/usr" make_ uninstall "${system[@]}"
is "/usr: no file is left" "$(find "$usr" ! -type d)" ""
is "/usr: the system's directories are" "$(cd "$usr/usr" && echo bin share/doc/* lib/some-linux-gnu)" \
	"bin share/doc/* lib/some-linux-gnu"
is "/usr: ipdivert's own are not" "$(find "$usr" -name '*divert*')" ""

# each directory set by its variable
works "make install: BINDIR, SBINDIR, MANDIR, UNITDIR, UDEVDIR" make_ install PREFIX=/x BINDIR=/b SBINDIR=/s \
	MANDIR=/m UNITDIR=/u UDEVDIR=/r DESTDIR="$TMP/dirs"
is "all went there" "$(cd "$TMP/dirs" && ls b/interceptor s/ipfw m/man4/divert.4 u/ipfw.service r/60-ipdivert.rules)" \
	"b/interceptor
m/man4/divert.4
r/60-ipdivert.rules
s/ipfw
u/ipfw.service"
like "the unit names SBINDIR" "$(cat "$TMP/dirs/u/ipfw.service")" "ExecStart=/s/ipfw "

# ---- packages ----

# exported MAP: the names that the map exports
exported() {
	local names

	names=$(sed '/^[[:space:]]*local:/,/^}/d' "$1" | sed -n 's/^\t*\([A-Za-z_0-9]*\);$/\1/p')
	{
		echo "$names"
		# Each name is also exported with the prefix that -Wl,--wrap= gives it.
		! grep -q '__wrap_\*;' "$1" || sed 's/^/__wrap_/' <<<"$names"
	} | sort
}
# symbols LIBRARY: the names that Debian's file lists for it
symbols() { sed -n "/^$1 /,/^[a-z].*#MINVER#/s/^ \([A-Za-z_0-9]*\)@.*/\1/p" "$TOP/debian/libdivert0.symbols" | sort; }
is "debian/libdivert0.symbols: libdivert" "$(diff <(exported "$TOP/lib/libdivert.map") \
	<(symbols libdivert.so.0 | grep -v ^LIBDIVERT_))" ""
is "debian/libdivert0.symbols: libdivert-socket" \
	"$(diff <(exported "$TOP/interpose/libdivert-socket.map") <(symbols libdivert-socket.so.0))" ""
version=$(sed -n 's/^VERSION := //p' "$TOP/Makefile")
is "debian/changelog: the version" "$(sed -n '1s/.*(\(.*\)).*/\1/p' "$TOP/debian/changelog")" "$version"
is "ipdivert.spec: the version" "$(sed -n 's/^Version: //p' "$TOP/packaging/ipdivert.spec")" "$version"
works "CHANGELOG.md: the version" grep -q "^## $version" "$TOP/CHANGELOG.md"

# ---- try what is installed ----

said=$("$TOP/quickstart" --installed 2>&1)
is "quickstart --installed: status" $? 0
like "quickstart --installed: it is what is installed" "$said" "$STAGE/sbin/ipfw"
like "quickstart --installed: the round trip" "$said" "6 of 6 replies came"
fails "quickstart: an argument that it does not know" "$TOP/quickstart" --install
