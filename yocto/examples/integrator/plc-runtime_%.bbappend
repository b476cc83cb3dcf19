# SPDX-License-Identifier: MIT OR Apache-2.0
# Copy this into recipes-plc/plc-runtime/ of your own layer, and the files beside it into files/ there.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"

SRC_URI += "\
    file://line.psk \
    file://line.toml \
"

do_install:append () {
    # Settings: the shipped file stays as it is.
    install -D -m 0644 ${UNPACKDIR}/line.toml ${D}${sysconfdir}/plc-runtime/plc-runtime.toml.d/line.toml

    # What programs may reach: one of the drop-ins that come with the runtime, or one of yours.
    install -d ${D}${systemd_system_unitdir}/plc-worker@.service.d
    ln -sr ${D}${datadir}/plc-runtime/drop-ins/can.conf ${D}${systemd_system_unitdir}/plc-worker@.service.d/

    # Keys of IDEs, the same on every device that boots this image. Who reads the image, your build directory or your
    # shared state cache reads them too; without this file each device makes a key of its own, which is better.
    install -m 0640 -g plc-keys ${UNPACKDIR}/line.psk ${D}${sysconfdir}/plc-runtime/psk.d/line.psk
}
