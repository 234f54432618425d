# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/unit/run and tests/fuzz/run share these functions. They define sanitizers FILE, which names
# those of a program, compile SANITIZERS ARGUMENT..., one NAME, which builds and runs a program (0:
# passed, 77: skipped), and summary LOG, a few words on a log.

# directive NAME FILE: what "// NAME: ..." says in the first lines of FILE
directive() {
	sed -n "1,8s,^// $1: *,,p" "$2"
}

# sources_of FILE: the files that its "// sources:" names, with globs expanded
sources_of() {
	local globs

	globs=$(directive sources "$1")
	# shellcheck disable=SC2086 # globs, and several
	[ "$globs" = none ] || echo $globs
}

# object OUT SANITIZERS SOURCE: the file that it is compiled to. Programs share these files.
object() {
	echo "$1/obj/$2/${3%.c}.o"
}

# objects OUT FILE: the objects that the program links with. If one could not be compiled, it prints
# the compiler's words, and fails.
objects() {
	local san o source

	san=$(sanitizers "$2")
	for source in $(sources_of "$2"); do
		o=$(object "$1" "$san" "$source")
		[ -e "$o" ] || { cat "$o.log" >&2 && return 1; }
		echo "$o"
	done
}

# next_job: waits until fewer jobs run than there are CPUs
running=0
next_job() {
	if [ $running = "$(nproc)" ]; then
		wait -n
		running=$((running - 1))
	fi
	running=$((running + 1))
}

# compile_sources OUT FILE...: compiles what these programs link with, each source once
compile_sources() {
	local out=$1 san source file o

	shift
	while read -r san source; do
		o=$(object "$out" "$san" "$source")
		mkdir -p "${o%/*}"
		rm -f "$o"
		next_job
		compile "$san" -c -o "$o" "$source" >"$o.log" 2>&1 &
	done < <(for file; do
		san=$(sanitizers "$file")
		for source in $(sources_of "$file"); do echo "$san $source"; done
	done | sort -u)
	wait
	running=0
}

# run_programs KIND OUT PREFIX [NAME...]: runs all of them, as many at a time as there are CPUs
run_programs() {
	local kind=$1 out=$2 prefix=$3 name log rc words passed=0 failed=0 skipped=0
	local -a names files

	shift 3
	names=("$@")
	[ $# -gt 0 ] || mapfile -t names < <(printf '%s\n' "$prefix"*.c | sed "s,^$prefix,,; s,\.c$,,")
	files=("${names[@]/#/$prefix}")
	compile_sources "$out" "${files[@]/%/.c}"
	for name in "${names[@]}"; do
		next_job
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
