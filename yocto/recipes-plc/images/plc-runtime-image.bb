# SPDX-License-Identifier: MIT OR Apache-2.0
SUMMARY = "Example of a controller: boots, runs a PLC, lets the IDE in with a key"
DESCRIPTION = "${SUMMARY}. To be used with the fragment plc-runtime/appliance, and to be copied."
SECTION = "utils"
LICENSE = "MIT | Apache-2.0"

IMAGE_INSTALL = "\
    packagegroup-core-boot \
    packagegroup-plc-runtime \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"
IMAGE_LINGUAS = ""

# A board has a layout of its own; give it a partition for /var too.
IMAGE_FSTYPES += "wic"
WKS_FILE:qemux86-64 = "plc-runtime-image.wks.in"

inherit core-image
