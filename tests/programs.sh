# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What tests/unit/run and tests/fuzz/run share. They define one NAME, which builds and runs a
# program (0: passed, 77: skipped), and summary LOG, a few words on a log.

# directive NAME FILE: what "// NAME: ..." says in the first lines of FILE
directive() {
	sed -n "1,8s,^// $1: *,,p" "$2"
}

# sources_of FILE: the files that its "// sources:" names, globs expanded
sources_of() {
	local globs

	globs=$(directive sources "$1")
	# shellcheck disable=SC2086 # globs, and several
	[ "$globs" = none ] || echo $globs
}

# run_programs KIND OUT PREFIX [NAME...]: all of them, as many at a time as there are processors
run_programs() {
	local kind=$1 out=$2 prefix=$3 name log rc words passed=0 failed=0 skipped=0
	local -a names

	shift 3
	names=("$@")
	[ $# -gt 0 ] || mapfile -t names < <(printf '%s\n' "$prefix"*.c | sed "s,^$prefix,,; s,\.c$,,")
	for name in "${names[@]}"; do
		while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
		{
			one "$name" >"$out/$name.log" 2>&1
			echo $? >"$out/$name.rc"
		} &
	done
	wait
	for name in "${names[@]}"; do
		log=$out/$name.log
		rc=$(cat "$out/$name.rc")
		words=$(summary "$log")
		case $rc in
		0) passed=$((passed + 1)) && echo "ok $kind/$name${words:+ ($words)}" ;;
		77) skipped=$((skipped + 1)) && echo "skip $kind/$name" ;;
		*)
			failed=$((failed + 1))
			tail -n 100 "$log"
			echo "FAIL $kind/$name (status $rc; $log)"
			;;
		esac
	done
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
}
