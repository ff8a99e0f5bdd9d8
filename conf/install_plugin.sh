#!/bin/sh
# usage: install_plugin.sh BUILT FOLDER   (meson install: $DESTDIR is set where there is one)
set -eu
if [ ! -e "$1" ]; then
    echo "zebra plugin: not built, not installed (controlplane-shim/frr/zebra-plugin/build $1)"
    exit 0
fi
install -D -m 644 "$1" "${DESTDIR:-}$2/wye_dplane.so"
