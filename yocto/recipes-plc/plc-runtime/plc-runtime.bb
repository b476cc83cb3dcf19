# SPDX-License-Identifier: MIT OR Apache-2.0
SUMMARY = "Runtime for PLC programs of the Beremiz IDE"
DESCRIPTION = "Runs control programs in sandboxed processes of their own, in real time, and serves every Beremiz IDE."
SECTION = "utils"
DEPENDS = "openssl"

SRC_URI = "\
    file://${BP}.tar.gz \
    file://NOTICES \
    file://run-ptest \
"

# Made by `make layer`: the crates with their checksums; licences, users and units as the sources name them.
require ${BPN}-crates.inc
require ${BPN}-generated.inc

inherit bash-completion cargo features_check pkgconfig ptest systemd useradd

REQUIRED_DISTRO_FEATURES = "systemd usrmerge"

PACKAGECONFIG ??= "dbus wamp ${@bb.utils.filter('DISTRO_FEATURES', 'polkit', d)}"
PACKAGECONFIG[dbus] = ",,,dbus"
PACKAGECONFIG[polkit] = ",,,polkit"
# The certificates are those that a router's is checked against.
PACKAGECONFIG[wamp] = ",WITHOUT=plc-connector-wamp,,ca-certificates"

EXTRA_OEMAKE = "\
    PREFIX=${prefix} \
    BUILT=${B}/target/${RUST_HOST_SYS}/release \
    ZSH_COMPLETIONS=zsh/site-functions \
    ${PACKAGECONFIG_CONFARGS} \
"

export CARGO_BUILD_TARGET = "${RUST_HOST_SYS}"
export CARGO_NET_OFFLINE = "true"
# Packaging moves them into -dbg.
export CARGO_PROFILE_RELEASE_STRIP = "none"
export CARGO_PROFILE_RELEASE_DEBUG = "line-tables-only"
# There is C in crates too, and where it was compiled is of no interest to a device.
DEBUG_PREFIX_MAP += "-ffile-prefix-map=${CARGO_HOME}=${TARGET_DBGSRC_DIR}/cargo_home"

do_compile () {
    export RUSTFLAGS="${RUSTFLAGS}"
    oe_runmake -C ${S} build
}

do_install () {
    oe_runmake -C ${S} install DESTDIR=${D}
    # Elsewhere tmpfiles.d makes it at boot; here the root may be read-only.
    install -d -m 2750 -g plc-keys ${D}${sysconfdir}/plc-runtime/psk.d
    install -D -m 0644 ${UNPACKDIR}/NOTICES ${D}${docdir}/${BPN}/NOTICES
    if ${@bb.utils.contains('PACKAGECONFIG', 'dbus', 'false', 'true', d)}; then
        rm -r ${D}${datadir}/dbus-1
    fi
    if ${@bb.utils.contains('PACKAGECONFIG', 'polkit', 'false', 'true', d)}; then
        rm -r ${D}${datadir}/polkit-1
    fi
}

PACKAGES =+ "${PN}-connectors"

FILES:${PN} += "\
    ${datadir}/dbus-1/system.d \
    ${datadir}/fish \
    ${datadir}/polkit-1 \
    ${datadir}/zsh \
    ${nonarch_libdir}/systemd \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
"
FILES:${PN}-connectors += "\
    ${libexecdir}/${BPN}/plc-connector-* \
    ${systemd_system_unitdir}/plc-connector-* \
"
FILES:${PN}-dev += "${datadir}/dbus-1/interfaces"
CONFFILES:${PN} = "${sysconfdir}/plc-runtime/plc-runtime.toml"

RDEPENDS:${PN}-connectors += "${PN} (= ${EXTENDPKGV})"
RDEPENDS:${PN}-ptest += "${PN}-connectors"
RRECOMMENDS:${PN} += "${PN}-connectors"

SYSTEMD_PACKAGES = "${PN} ${PN}-connectors"
# Our own preset file says what a boot starts.
SYSTEMD_AUTO_ENABLE = "preset"

USERADD_PACKAGES = "${PN}"

# An upgrade of the running system leaves the PLC alone: what the systemd class would stop here goes on, and hears of
# the new version, which takes over when no program runs.
pkg_prerm:${PN} () {
    if [ "$1" = upgrade ]; then
        exit 0
    fi
}

pkg_prerm:${PN}-connectors () {
    if [ "$1" = upgrade ]; then
        exit 0
    fi
}

# It leaves alone, too, what an operator has enabled or disabled: the class would have each unit as the preset file has
# it. Only what was not there before is set.
pkg_preinst:${PN} () {
    if [ -z "$D" ]; then
        ls ${systemd_system_unitdir} >/run/${PN}.units
    fi
}

pkg_preinst:${PN}-connectors () {
    if [ -z "$D" ]; then
        ls ${systemd_system_unitdir} >/run/${PN}-connectors.units
    fi
}

pkg_postinst:${PN} () {
    if [ -z "$D" ] && systemctl >/dev/null 2>&1; then
        systemctl daemon-reload
        for unit in ${SYSTEMD_SERVICE:${PN}}; do
            grep -qsx "$unit" /run/${PN}.units || systemctl preset "$unit"
        done
        rm -f /run/${PN}.units
        ! systemctl --quiet is-active plc-runtime.service || systemctl reload plc-runtime.service
        exit 0
    fi
}

pkg_postinst:${PN}-connectors () {
    if [ -z "$D" ] && systemctl >/dev/null 2>&1; then
        systemctl daemon-reload
        for unit in ${SYSTEMD_SERVICE:${PN}-connectors}; do
            grep -qsx "$unit" /run/${PN}-connectors.units || systemctl preset "$unit"
        done
        rm -f /run/${PN}-connectors.units
        exit 0
    fi
}
