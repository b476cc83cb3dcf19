# SPDX-License-Identifier: MIT OR Apache-2.0
PACKAGES =+ "${PN}-bash-completion"
FILES:${PN}-bash-completion = "${datadir}/bash-completion"
