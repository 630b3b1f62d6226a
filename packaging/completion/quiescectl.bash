# Completion of quiescectl for bash.
_quiescectl() {
    local word=${COMP_WORDS[COMP_CWORD]} command='' i
    local commands='status plan check participants history show freeze thaw monitor metrics'
    local options='--json --no-color --help --version'

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --config | -n | --lines | --limit) i=$((i + 1)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    case ${COMP_WORDS[COMP_CWORD - 1]} in
    -c | --config)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    -n | --lines | --limit) return ;;
    esac
    case $command in
    check) options+=' --config --offline' ;;
    history) options+=' --lines' ;;
    freeze) options+=' --rehearse --limit' ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
        return
    fi
    case $command in
    '') mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word") ;;
    plan | freeze) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    show)
        # The first column of the history, without its heading.
        mapfile -t COMPREPLY < <(compgen -W "$(quiescectl --lines=100 history 2>/dev/null |
            while read -r which _; do [[ $which == [0-9a-f]* ]] && echo "$which"; done)" -- "$word")
        ;;
    esac
}
complete -F _quiescectl quiescectl
