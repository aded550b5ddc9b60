#!/bin/sh
# Installs what the host lacks: `image/deps.sh [iso] [test]`. Without root it prints the one command instead.
set -eu

packages=""
for goal in "$@"; do
	case "$goal" in
	iso)
		# mkosi brings every other program in a tools tree of its own.
		packages="$packages apt ca-certificates debian-archive-keyring git python3"
		[ "$(id -u)" = 0 ] || packages="$packages uidmap"
		;;
	test)
		packages="$packages chromium dnsmasq-base e2fsprogs git iproute2 ipxe-qemu mtools openssh-client ovmf python3
			python3-venv qemu-system-x86 qemu-utils xorriso"
		;;
	*)
		echo "deps: unknown goal '$goal'; use iso, test or both" >&2
		exit 2
		;;
	esac
done

missing=""
for package in $packages; do
	state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || case " $missing " in
	*" $package "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: some packages are missing; run this once and then the same command again:" >&2
	echo "  sudo apt-get install --yes --no-install-recommends$missing" >&2
	exit 1
fi
echo "Installing$missing …"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of package names
if ! { apt-get update && apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
	tail -5 "$log" >&2
	echo "deps: apt-get cannot install$missing; check the network and the apt configuration" >&2
	exit 1
fi
