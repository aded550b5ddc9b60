# A login by ssh to the live system sees the installer's screens first, and a shell after them. Commands, scp and sftp
# have no terminal and come not here; a node has neither the folder nor the socket.
case $- in
*i*)
	if [ -n "${SSH_TTY-}" ] && [ -d /run/live ] && [ -S /run/slipway/tui.socket ]; then
		slipway-install tui
	fi
	;;
esac
