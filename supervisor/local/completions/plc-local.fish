# SPDX-License-Identifier: MIT OR Apache-2.0
complete -c plc-local -s p -l port -d 'Port for the IDE; 0 takes a free one and says which' -r
complete -c plc-local -s i -l interface -d 'Address or name of the interface for the IDE' -r
complete -c plc-local -s a -d 'Start the installed program at once: 0 or 1' -r
complete -c plc-local -l program -d 'Install and start this program' -r -F
complete -c plc-local -l wamp -d 'Let IDEs come by WAMP too, without a router; 0 takes a free port and says which [port if none is given: 8888]' -r
complete -c plc-local -l no-sample -d 'Without DIR: install no sample program'
complete -c plc-local -s v -l verbose -d 'Say also what is of no consequence'
complete -c plc-local -s h -l help -d 'Print help'
complete -c plc-local -s V -l version -d 'Print version'
