#!/bin/sh
# Network boot: `fetch=URL/filesystem.squashfs` on the kernel command line. It takes the place of live-boot's own
# functions of the same names, which fetch one image, once, and check nothing.
#
# The list of files, with sizes and SHA-256 sums, came with the initrds (netboot.img). So what is fetched is what
# was built, over whatever network it came, and the server's certificate needs no trust.

SLIPWAY_LIST=/etc/slipway-netboot/files
SLIPWAY_MEMORY=/etc/slipway-netboot/memory-mib
SLIPWAY_LOG=/run/slipway/netboot.log
SLIPWAY_ATTEMPTS=6
SLIPWAY_RESTART_SECONDS=300

slipway_say()
{
	echo "slipway-netboot: $*" >>"${SLIPWAY_LOG}"
	# The output of the initramfs goes to one console only; somebody may sit at another.
	while read -r console _; do
		echo "slipway-netboot: $*" >"/dev/${console}"
	done </proc/consoles
}

slipway_fail()
{
	slipway_say "$*"
	slipway_say "Network boot failed (exit status 4). Nothing has been changed on any disk."
	slipway_say "The machine restarts in ${SLIPWAY_RESTART_SECONDS} s; Enter on the last console gives a shell."
	# shellcheck disable=SC3045 # sh is busybox here
	if read -r -t "${SLIPWAY_RESTART_SECONDS}" _ </dev/console; then
		panic "Network boot failed: $*"
	fi
	reboot -f
}

# configure_networking finds the card by BOOTIF=, ip= or by who answers first.
Select_eth_device()
{
	:
}

slipway_check_memory()
{
	read -r needed <"${SLIPWAY_MEMORY}"
	total=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
	if [ "${total}" -lt "${needed}" ]; then
		slipway_fail "memory: the kernel has ${total} MiB of it, network boot needs ${needed} MiB; add memory or install from the ISO"
	fi
}

# Call curl once for ${url} into ${file}; say how far it is every 10 seconds.
slipway_curl()
{
	curl --fail --silent --show-error --location --max-redirs 5 --proto =http,https --insecure \
		--max-filesize "${size}" \
		--connect-timeout 20 --speed-limit 1000 --speed-time 30 --continue-at - \
		--output "${file}" "${url}" 2>/run/slipway/curl.err &
	pid=$!
	ticks=0
	while kill -0 "${pid}" 2>/dev/null; do
		sleep 1
		ticks=$((ticks + 1))
		if [ "$((ticks % 10))" = 0 ] && [ -e "${file}" ]; then
			slipway_say "${name}: $(($(wc -c <"${file}") / 1048576)) of $((size / 1048576)) MiB"
		fi
	done
	wait "${pid}"
}

# Fetch ${name} of ${size} bytes until its checksum is ${sum}. Whatever is wrong is said, and tried again.
slipway_fetch()
{
	url="${FETCH%/*}/${name}"
	# Without the user and password that may stand in it.
	shown="${url#*://}"
	shown="${url%%://*}://${shown##*@}"
	file="${mountpoint:?}/live/${name}"
	attempt=1
	wait_seconds=2
	while true; do
		slipway_say "fetching ${shown}, $(((size + 1048575) / 1048576)) MiB"
		if slipway_curl; then
			got=$(wc -c <"${file}")
			found=$(sha256sum <"${file}")
			if [ "${found%% *}" = "${sum}" ]; then
				return 0
			fi
			reason="${got} bytes with the SHA-256 ${found%% *} came, not ${size} bytes with ${sum}; the server's files do not belong together, copy the whole bundle again"
			rm -f "${file}"
		else
			status=$?
			reason=$(tail -n 1 /run/slipway/curl.err)
			# 33: the server cannot resume. 63: there is more than there should be. 22 with a part of the file
			# here: what is there cannot be continued.
			case "${status}" in
			22 | 33 | 63) rm -f "${file}" ;;
			esac
		fi
		if [ "${attempt}" -ge "${SLIPWAY_ATTEMPTS}" ]; then
			slipway_fail "${shown}: ${reason} (attempt ${attempt} of ${SLIPWAY_ATTEMPTS})"
		fi
		slipway_say "${shown}: ${reason} (attempt ${attempt} of ${SLIPWAY_ATTEMPTS}); again in ${wait_seconds} s"
		sleep "${wait_seconds}"
		attempt=$((attempt + 1))
		wait_seconds=$((wait_seconds * 2))
	done
}

do_netmount()
{
	mkdir -p /run/slipway "${mountpoint:?}"
	if [ ! -s "${SLIPWAY_LIST}" ]; then
		slipway_fail "netboot.img was not loaded; name it as the second initrd, after initrd.img"
	fi
	slipway_check_memory
	configure_networking
	if [ -z "$(ls /run/net-*.conf 2>/dev/null)" ]; then
		slipway_fail "no network card got an address by DHCP; check cable, switch port and DHCP server"
	fi
	# In tmpfs once: the images are mounted from where they are.
	room_kib=$(awk '{ sum += $2 } END { print int(sum / 1024) + 1024 }' "${SLIPWAY_LIST}")
	mount -t tmpfs -o "size=${room_kib}k,mode=0755" slipway "${mountpoint}"
	mkdir "${mountpoint}/live"
	while read -r sum size name; do
		# Not from the list on standard input.
		slipway_fetch </dev/null
		echo "${sum}  ${name}" >>"${mountpoint}/live/SHA256SUMS"
	done <"${SLIPWAY_LIST}"
	slipway_say "all files are here and whole"
}
