# SPDX-License-Identifier: MIT OR Apache-2.0
# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_plcctl_global_optspecs
    string join \n socket= json h/help V/version
end

function __fish_plcctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_plcctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_plcctl_using_subcommand
    set -l cmd (__fish_plcctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c plcctl -n "__fish_plcctl_needs_command" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_needs_command" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_needs_command" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_needs_command" -s V -l version -d 'Print version'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "status" -d 'Show the state of the PLC, and why it is as it is'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "start" -d 'Run the installed program'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "stop" -d 'Stop the program'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "install" -d 'Install a program that the IDE has built'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "rollback" -d 'Go back to the program before the installed one'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "repair" -d 'Stop the PLC and forget its program, so that a new one can be installed'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "log" -d 'Read the PLC log'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "trace" -d 'Watch, plot and force variables of the running program'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "stats" -d 'Show figures: cycles, their period and cost, trace, connections'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "check" -d 'Examine machine and runtime, and measure how late a cycle wakes up'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "selftest" -d 'Try what is installed here, with a second PLC of its own'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "reload" -d 'Have the configuration and the keys read again; an installed upgrade takes over if it can'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "pair" -d 'Let IDEs learn the device\'s key, for a while'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "psk" -d 'Make, list and revoke keys of IDEs'
complete -c plcctl -n "__fish_plcctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plcctl -n "__fish_plcctl_using_subcommand status" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand status" -l watch -d 'Go on and tell every change, until interrupted'
complete -c plcctl -n "__fish_plcctl_using_subcommand status" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand start" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand start" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand start" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand stop" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand stop" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand stop" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand install" -l extra -d 'A file that the program needs, or a directory of such files; may be repeated' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand install" -l md5 -d 'The IDE\'s name for this build, 32 hexadecimal digits [default: MD5 of PROGRAM.so]' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand install" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand install" -l restart -d 'If a program runs: stop it, install, start the new one'
complete -c plcctl -n "__fish_plcctl_using_subcommand install" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand install" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand rollback" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand rollback" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand repair" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand repair" -l yes -d 'Do not ask; needed where nobody can be asked'
complete -c plcctl -n "__fish_plcctl_using_subcommand repair" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand repair" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand log" -l level -d 'Only messages of this level; may be repeated' -r -f -a "critical\t''
warning\t''
info\t''
debug\t''"
complete -c plcctl -n "__fish_plcctl_using_subcommand log" -l lines -d 'Only the newest N messages [default: all that are kept, 10 with --follow]' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand log" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand log" -l follow -d 'Go on and show new messages, until interrupted'
complete -c plcctl -n "__fish_plcctl_using_subcommand log" -l reset -d 'Empty the log'
complete -c plcctl -n "__fish_plcctl_using_subcommand log" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand log" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l force -d 'Hold a variable at a value; may be repeated' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l variables -d 'A table of the program\'s variables' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l count -d 'End after N samples, one per cycle' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l for -d 'End after this time' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l window -d 'How much time a plot on a terminal shows' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l plot -d 'Draw the values over time'
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand trace" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand stats" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand stats" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand stats" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand check" -l seconds -d 'How long to measure the wake-up latency' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand check" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand check" -l no-latency -d 'Measure no wake-up latency'
complete -c plcctl -n "__fish_plcctl_using_subcommand check" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand selftest" -l dir -d 'Where that directory is made; programs must be allowed to run there [default: $TMPDIR or /tmp]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand selftest" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand selftest" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand selftest" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand reload" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand reload" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand reload" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand pair" -l seconds -d 'For how long; it ends by itself' -r
complete -c plcctl -n "__fish_plcctl_using_subcommand pair" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand pair" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand pair" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -f -a "add" -d 'Make a key, and show what goes into an IDE and into stunnel'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -f -a "import" -d 'Take the keys of a file of an IDE, of stunnel or of another runtime'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -f -a "export" -d 'Write a key to a file as IDEs and stunnel read it; for root'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -f -a "list" -d 'List the keys: whose, what for, since when, in which file'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -f -a "revoke" -d 'Take a key away and end the connections that were made with it; the device\'s is replaced'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -f -a "show" -d 'Show a key as when it was made; for root'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and not __fish_seen_subcommand_from add import export list revoke show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from add" -l secret-file -d 'Take the secret from this file, - for standard input: 16 to 512 characters without blanks [default: a new one]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from add" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from add" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from import" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from import" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from export" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from export" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from list" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from list" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from revoke" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from revoke" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from show" -l socket -d 'The runtime\'s API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]' -r -F
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from show" -l json -d 'Answer in JSON'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from help" -f -a "add" -d 'Make a key, and show what goes into an IDE and into stunnel'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from help" -f -a "import" -d 'Take the keys of a file of an IDE, of stunnel or of another runtime'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write a key to a file as IDEs and stunnel read it; for root'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the keys: whose, what for, since when, in which file'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Take a key away and end the connections that were made with it; the device\'s is replaced'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show a key as when it was made; for root'
complete -c plcctl -n "__fish_plcctl_using_subcommand psk; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "status" -d 'Show the state of the PLC, and why it is as it is'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "start" -d 'Run the installed program'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "stop" -d 'Stop the program'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "install" -d 'Install a program that the IDE has built'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "rollback" -d 'Go back to the program before the installed one'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "repair" -d 'Stop the PLC and forget its program, so that a new one can be installed'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "log" -d 'Read the PLC log'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "trace" -d 'Watch, plot and force variables of the running program'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "stats" -d 'Show figures: cycles, their period and cost, trace, connections'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "check" -d 'Examine machine and runtime, and measure how late a cycle wakes up'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "selftest" -d 'Try what is installed here, with a second PLC of its own'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "reload" -d 'Have the configuration and the keys read again; an installed upgrade takes over if it can'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "pair" -d 'Let IDEs learn the device\'s key, for a while'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "psk" -d 'Make, list and revoke keys of IDEs'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and not __fish_seen_subcommand_from status start stop install rollback repair log trace stats check selftest reload pair psk help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and __fish_seen_subcommand_from psk" -f -a "add" -d 'Make a key, and show what goes into an IDE and into stunnel'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and __fish_seen_subcommand_from psk" -f -a "import" -d 'Take the keys of a file of an IDE, of stunnel or of another runtime'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and __fish_seen_subcommand_from psk" -f -a "export" -d 'Write a key to a file as IDEs and stunnel read it; for root'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and __fish_seen_subcommand_from psk" -f -a "list" -d 'List the keys: whose, what for, since when, in which file'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and __fish_seen_subcommand_from psk" -f -a "revoke" -d 'Take a key away and end the connections that were made with it; the device\'s is replaced'
complete -c plcctl -n "__fish_plcctl_using_subcommand help; and __fish_seen_subcommand_from psk" -f -a "show" -d 'Show a key as when it was made; for root'
