#!/bin/sh
# Boots the ISO in QEMU with a blank disk, the serial console in this terminal: `tests/vm/run-vm.sh [release|test]`.
# The disk is thrown away at the end. Leave with Ctrl-a x.
set -eu

project=$(dirname "$0")/../..
profile=${1:-release}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$project/pyproject.toml")
case "$profile" in
release) iso=$project/out/slipway-$version-amd64.iso ;;
*) iso=$project/out/slipway-$version-$profile-amd64.iso ;;
esac
[ -f "$iso" ] || {
	echo "$iso: missing; run: make iso PROFILE=$profile" >&2
	exit 2
}

disk=$(mktemp --suffix=.qcow2)
trap 'rm -f "$disk"' EXIT
qemu-img create -q -f qcow2 "$disk" 32G
# KVM only where it really runs this kernel; the VM tests know after their first run.
accel=tcg,thread=multi
if grep -qs '"accel": "kvm"' "$project/out/test/accel.json"; then accel=kvm; fi

qemu-system-x86_64 -accel "$accel" -cpu max,-erms,-fsrm -machine q35 -m 2048 -smp 1 -display none -nodefaults -vga std \
	-serial mon:stdio \
	-device virtio-rng-pci -device virtio-scsi-pci,id=scsi \
	-drive "if=none,id=iso,format=raw,readonly=on,file=$iso" -device scsi-cd,bus=scsi.0,drive=iso,bootindex=1 \
	-drive "if=none,id=disk,format=qcow2,cache=unsafe,file=$disk" \
	-device virtio-blk-pci,drive=disk,serial=BLANK,bootindex=0 \
	-netdev user,id=net,hostfwd=tcp:127.0.0.1:8006-:8006 -device virtio-net-pci,netdev=net
