# bash completion for wyectl: source it, or put it into /usr/share/bash-completion/completions/wyectl.

_wyectl_filters() {
    case $1 in
        ports | queues) echo --port --nonzero ;;
        vports | counters) echo --tenant --vrf --port --nonzero ;;
        tenants) echo --tenant ;;
        bfd) echo --vrf ;;
        vrfs | nexthops | neighbours) echo --tenant --vrf ;;
        routes) echo --tenant --vrf --prefix --match --failed ;;
        tunnels | acls) echo --tenant --nonzero ;;
        drops) echo --tenant --port --nonzero ;;
    esac
}

_wyectl_instances() {
    local socket
    for socket in "${WYE_RUN_DIR:-/run/wye}"/*/shim.sock; do
        [[ -S $socket ]] && basename "$(dirname "$socket")"
    done
}

_wyectl() {
    local shows='ports vports tenants vrfs routes nexthops tunnels neighbours acls counters drops
                 workers queues bfd rings status'
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local word command='' what='' words i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --socket | --instance | --config | --svg | --workers | --topology | --isolated | --wait | --core | --seconds | -f | --file) ((i++)) ;;
            -*) ;;
            *) if [[ -z $command ]]; then command=$word; elif [[ -z $what ]]; then what=$word; fi ;;
        esac
    done
    case $previous in
        --socket | -f | --file | --config | --svg | --topology)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        --instance) words=$(_wyectl_instances) ;;
        --workers) words=auto ;;
        --tenant | --vrf | --port | --prefix | --match | --isolated | --wait | --core | --seconds) return ;;
        *)
            case $command in
                '') words='apply show worker host --socket --instance --help --version' ;;
                apply) words='--file --json --help' ;;
                host)
                    case $what in
                        '') words='placement plan apply release --help' ;;
                        plan) words='--file --recreate --json --help' ;;
                        apply) words='--file --yes --recreate --wait --json --help' ;;
                        release) words='--yes --json --help' ;;
                        placement) words='--config --workers --svg --json --yaml --topology --isolated --help' ;;
                    esac ;;
                worker)
                    case $what in
                        '') words='add move remove place rebalance --help' ;;
                        add | move) words='--core --share --json --help' ;;
                        rebalance) words='--dry-run --seconds --json --help' ;;
                        *) words='--json --help' ;;
                    esac ;;
                show)
                    if [[ -z $what ]]; then
                        words="$shows --help"
                    else
                        words="$(_wyectl_filters "$what") --json --help"
                    fi ;;
            esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _wyectl wyectl
