# The host's hand in the virtual board: runs what comes over a virtio port, one line at a time.
#
# In: `NUMBER COMMAND`. Out: each line that the command printed as `NUMBER|LINE`, then
# `NUMBER=CODE`. The port is a virtio port of the name `agent`, or the terminal that the kernel's
# command line calls `agent_port`. What goes wrong before is on the console.

. /lib/vm/board.sh

port=
tries=0
while [ -z "$port" ] && [ $tries -lt 50 ]; do
    [ -c "$agent_port" ] && port=$agent_port && stty -F "$port" raw -echo
    for name in /sys/class/virtio-ports/*/name; do
        if [ -e "$name" ] && [ "$(cat "$name")" = agent ]; then
            port=/dev/$(basename "$(dirname "$name")")
        fi
    done
    tries=$((tries + 1))
    [ -n "$port" ] || sleep 0.2
done
if [ -z "$port" ]; then
    echo "agent: there is no port"
    poweroff -f
fi

exec 3<>"$port"
echo "0=0" >&3
while read -r number command <&3; do
    (eval "$command") >/tmp/said 2>&1 </dev/null 3>&-
    code=$?
    sed "s/^/$number|/" /tmp/said >&3
    printf '\n%s=%s\n' "$number" "$code" >&3
done
poweroff -f
