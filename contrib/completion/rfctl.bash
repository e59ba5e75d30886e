# SPDX-License-Identifier: BSD-2-Clause
# Completion of rfctl in bash. Commands and options come from rfctl itself, names of RPC commands, tables and statistics from the server.

_rfctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} rf=${COMP_WORDS[0]} names words="" server=() i
	COMPREPLY=()
	names=$("$rf" help --names 2>/dev/null) || return 0

	# the words before the cursor that are no options, and the address of the server
	local -a said=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket) server=(-s "${COMP_WORDS[++i]}") ;;
		-d | --db | -r | --realm | --algorithm | -t | --table | -e | --expire | -n | --interval | --timeout) ((i++)) ;;
		-*) ;;
		*) said+=("${COMP_WORDS[i]}") ;;
		esac
	done

	case $prev in
	-s | --socket | -d | --db)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return 0
		;;
	--algorithm)
		mapfile -t COMPREPLY < <(compgen -W "md5 sha-256 sha-512-256" -- "$cur")
		return 0
		;;
	-r | --realm | -t | --table | -e | --expire | -n | --interval | --timeout) return 0 ;;
	esac

	if [[ $cur == -* ]]; then
		words=$(grep '^--' <<<"$names")
	else
		case "${said[*]}" in
		"" | help) words=$(grep -v '^--' <<<"$names" | cut -d' ' -f1 | sort -u) ;;
		rpc) words=$("$rf" --timeout 1 "${server[@]}" rpc system.listMethods 2>/dev/null) ;;
		stats) words=$("$rf" --timeout 1 "${server[@]}" stats 2>/dev/null | sed -n '2,$s/\..*//p' | sort -u) ;;
		"htable dump" | "htable get" | "htable set" | "htable delete")
			words=$("$rf" --timeout 1 "${server[@]}" htable list 2>/dev/null | sed -n '2,$s/ .*//p')
			;;
		"log level") words="alert critical error warning notice info debug" ;;
		"quarantine rm") words=all ;;
		"config check" | "db create" | "db migrate" | "db check")
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return 0
			;;
		*)
			local first=${said[0]}
			[ "$first" = help ] && first=${said[1]} && said=("${said[@]:1}")
			[ ${#said[@]} = 1 ] && words=$(sed -n "s/^${first//[^a-z]/} //p" <<<"$names")
			;;
		esac
	fi
	# compgen -W runs what looks like a command: only plain words get there
	words=$(tr -s ' ' '\n' <<<"$words" | grep -E '^[A-Za-z0-9_.:-]+$')
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _rfctl rfctl
