# SPDX-License-Identifier: MIT OR Apache-2.0
SUMMARY = "All that a PLC needs in an image"
DESCRIPTION = "The runtime and its connectors, and with them what their PACKAGECONFIG asks for."
SECTION = "utils"

inherit packagegroup

RDEPENDS:${PN} = "\
    plc-runtime \
    plc-runtime-connectors \
"
