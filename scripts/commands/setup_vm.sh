#!/usr/bin/env bash
# What the virtual lab needs (scripts/vm), called by scripts/setup --vm: QEMU with the igb device from
# bookworm-backports, Debian's kernel and a static busybox.
#
# The machine's own sources, kernel and boot are not touched: backports is known to a private apt
# configuration only, from which QEMU is installed if nothing else would be upgraded or removed; kernel
# and busybox are unpacked into the cache folder.
set -euo pipefail

cache=${WYE_VM_CACHE:-/var/cache/wye-vm}
mirror=${WYE_DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
say() { [ "${WYE_QUIET:-0}" = 1 ] || echo "setup: $*"; }
give_up() {
    echo "setup: $*" >&2
    exit 1
}

apt="$cache/apt"
options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=/dev/null"
    -o "Dir::Etc::Preferences=/dev/null" -o "Dir::Etc::PreferencesParts=/dev/null"
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=root"
    -o "APT::Get::List-Cleanup=false" -o "Acquire::Retries=2")

read_index() {
    [ -z "${index_read:-}" ] || return 0
    index_read=1
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    for suite in bookworm bookworm-backports; do
        echo "deb [signed-by=$keyring] $mirror $suite main"
    done > "$apt/sources.list"
    apt-get "${options[@]}" update -qq -o APT::Update::Error-Mode=any > "$apt/log" 2>&1 || {
        tail -n 5 "$apt/log" >&2
        give_up "the package lists of bookworm and bookworm-backports cannot be fetched from $mirror" \
            "(WYE_DEBIAN_MIRROR names another mirror); the virtual lab cannot be set up"
    }
}

has_igb() {
    command -v qemu-system-x86_64 > /dev/null &&
        qemu-system-x86_64 -device help 2> /dev/null | grep -q '^name "igb"'
}

install_qemu() {
    read_index
    local words=(install --no-install-recommends --no-remove -t bookworm-backports qemu-system-x86)
    local plan changed
    plan=$(apt-get "${options[@]}" -s "${words[@]}" 2>&1) || {
        echo "$plan" | tail -n 5 >&2
        give_up "apt finds no way to install qemu-system-x86 of bookworm-backports"
    }
    # "Inst name [version that is installed] (new version …)": an upgrade. QEMU's own may be.
    changed=$(echo "$plan" | awk '$1 == "Inst" && $3 ~ /^\[/ && $2 !~ /^(qemu-|seabios|ipxe-qemu)/ {print $2}')
    [ -z "$changed" ] || give_up "QEMU of bookworm-backports would upgrade other packages" \
        "($(echo "$changed" | tr '\n' ' ')): not done"
    echo "setup: installing QEMU with its igb device from bookworm-backports"
    DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" -y -qq "${words[@]}" > "$apt/log" 2>&1 || {
        tail -n 20 "$apt/log" >&2
        give_up "QEMU could not be installed; the whole log is in $apt/log"
    }
    has_igb || give_up "the QEMU that was installed has no igb device: $(qemu-system-x86_64 --version | head -n 1)"
}

# Unpacks a package into a folder of the cache; the folder appears when it is whole.
unpack() { # package folder
    local work="$cache/unpack"
    rm -rf --one-file-system "$work"
    mkdir -p "$work/deb"
    (cd "$work" && apt-get "${options[@]}" download -qq "$1" > "$apt/log" 2>&1) || {
        tail -n 5 "$apt/log" >&2
        give_up "$1 cannot be fetched from $mirror; the virtual lab cannot be set up"
    }
    dpkg-deb -x "$work"/*.deb "$work/deb"
    rm -rf --one-file-system "$2"
    mv "$work/deb" "$2"
    rm -rf --one-file-system "$work"
}

install_kernel() {
    read_index
    local package release
    package=$(apt-cache "${options[@]}" depends linux-image-amd64/bookworm |
        awk '$1 == "Depends:" && $2 ~ /^linux-image-6\.1\./ {print $2; exit}')
    [ -n "$package" ] || give_up "linux-image-amd64 of bookworm names no kernel"
    release=${package#linux-image-}
    echo "setup: unpacking $package into $cache"
    unpack "$package/bookworm" "$cache/kernel.new"
    depmod -b "$cache/kernel.new" "$release"
    echo "$release" > "$cache/kernel.new/release"
    rm -rf --one-file-system "$cache/kernel"
    mv "$cache/kernel.new" "$cache/kernel"
}

[ "$(dpkg --print-architecture)" = amd64 ] || give_up "the virtual lab is for amd64"
mkdir -p "$cache"
has_igb || install_qemu
[ -e "$cache/kernel/release" ] || install_kernel
if [ ! -x "$cache/busybox/bin/busybox" ]; then
    read_index
    echo "setup: unpacking busybox-static into $cache"
    unpack busybox-static "$cache/busybox"
fi
rm -rf --one-file-system "$apt/cache"
say "virtual lab: $(qemu-system-x86_64 --version | sed -n '1s/ *(.*//p')," \
    "Linux $(cat "$cache/kernel/release"); scripts/vm COMMAND, scripts/test --vm"
