# SPDX-License-Identifier: BSD-2-Clause
#
# Prints the words that TAB offers in an interactive zsh: zsh -f completion.zsh DIRECTORY OUT <LINES
#
# DIRECTORY has the functions that are tested. For each line that it reads it writes a line to OUT:
# the words that TAB offers after it, with blanks. A zsh with completion writes its standard error
# to OUT.err. Status 77: this zsh cannot do it.

# ---- in the shell on the terminal, which reads this file, too ----

if [[ -n $offers ]]; then
	exec 2>$offers.err
	fpath=($functions_of $fpath)
	autoload -Uz compinit
	compinit -D -u
	typeset -a all

	# Notes the words that are offered. With -O, -A and -D none are offered: somebody only asks
	# for the words.
	compadd() {
		local -a these flags=("${(@)argv[1,(i)--]}")

		if [[ -z ${flags[(r)-[OAD]*]} ]]; then
			builtin compadd -A these "$@"
			all+=($these)
		fi
		builtin compadd "$@"
	}
	offer() {
		all=()
		_main_complete
		print -r -- $all >>$offers
		compstate[insert]= compstate[list]=
	}
	zle -C offer complete-word offer
	bindkey '^T' offer '^U' kill-whole-line
	PS1= PS2=
	: >$offers
	return
fi

# ---- outside ----

zmodload zsh/zpty || exit 77
export functions_of=$1 offers=$2

# Waits until OUT has that many lines, for 10 seconds at most, and throws away what the terminal
# shows.
wait_for_lines() {
	local -i i
	local shown

	for (( i = 0; i < 500; i++ )); do
		while zpty -rt shell shown; do :; done
		[[ -e $offers ]] && (( $(wc -l <$offers) >= $1 )) && return
		sleep 0.02
	done
	print -u2 "completion.zsh: no answer to line $1"
	exit 1
}

rm -f $offers $offers.err
zpty shell zsh -f -i
zpty -w shell "source ${(q)ZSH_SCRIPT:A}"
wait_for_lines 0
typeset -i n=0
while IFS= read -r line; do
	zpty -w -n shell "$line"$'\C-T\C-U'
	wait_for_lines $(( ++n ))
done
zpty -d shell
