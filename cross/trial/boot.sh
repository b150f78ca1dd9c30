#!/bin/sh
# What `cargo xtask package --test` asks of the service, inside a clean Debian that has booted with
# systemd. Each line of its output is `ok WHAT` or `FAILED WHAT`; the last one is `end`.

sim=/var/lib/pressel/sim
events=/run/pressel-events

ok() { echo "ok $*"; }
failed() {
    echo "FAILED $*"
    systemctl status --no-pager --lines=20 pressel.service | sed 's/^/  /'
    journalctl --no-pager --lines=40 --unit=pressel.service | sed 's/^/  /'
    tail -n 5 $events | sed 's/^/  /'
}
property() { systemctl show --property="$1" --value pressel.service; }
# Waits until a command succeeds: SECONDS COMMAND...
until_ok() {
    left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 1
    done
}
heard() { grep -q '"text":"stop"' $events; }
left_over() { find /proc -maxdepth 1 -name "[0-9]*" -user pressel; }
restarted() { [ "$(property NRestarts)" -ge 1 ] && [ "$(property ActiveState)" = active ]; }

# As it is installed: this machine is no board, and trying again would not help.
systemctl start pressel.service
if [ "$(property ExecMainStatus)" = 2 ] && [ "$(property NRestarts)" = 0 ]; then
    ok "a machine that is no board: exit code 2, not tried again"
else
    failed "a machine that is no board: code $(property ExecMainStatus), $(property NRestarts) restarts"
fi
systemctl reset-failed pressel.service

# On the simulated board. Nothing of the sandbox is changed. (A container has no device groups of
# its own, so the list of devices is not seen at work here.)
install -d -o pressel -g pressel $sim
mkfifo $sim/mic $sim/button $sim/mute $sim/leds
cat >$sim/asound.conf <<END
pcm.pressel_sim_pipe {
    type file
    slave.pcm { type null }
    file "/dev/null"
    infile "$sim/mic"
    format "raw"
}
pcm.pressel_sim {
    type plug
    slave { pcm pressel_sim_pipe format S16_LE rate 16000 channels 1 }
}
END
printf 'board = "sim"\ntrigger = "voice"\n[link]\nmode = "none"\n' >/etc/pressel/sim.toml
chown pressel:pressel $sim/*
chmod 644 /etc/pressel/sim.toml
mkdir -p /etc/systemd/system/pressel.service.d
cat >/etc/systemd/system/pressel.service.d/sim.conf <<END
[Service]
ExecStart=
ExecStart=/usr/bin/pressel run --config /etc/pressel/sim.toml --sim-dir $sim --control /run/pressel/control --json
Environment=ALSA_CONFIG_PATH=$sim/asound.conf
StandardOutput=file:$events
WatchdogSec=6
RestartSec=1
END
systemctl daemon-reload
perl /trial/world.pl $sim/mic /usr/share/pressel/demo/stop.wav &

if systemctl start pressel.service && [ "$(property ActiveState)" = active ]; then
    ok "the service says that it is ready"
else
    failed "the service does not start"
fi
if until_ok 40 heard; then
    ok "the service hears: stop"
else
    failed "the service does not hear \"stop\""
fi

main=$(property MainPID)
value() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$main/status"; }
if [ "$(value NoNewPrivs)" = 1 ] && [ "$(value Seccomp)" = 2 ] && [ "$(value CapBnd)" = 0000000000000000 ]; then
    ok "no new privileges, system calls filtered, no capabilities"
else
    failed "the sandbox: NoNewPrivs $(value NoNewPrivs), Seccomp $(value Seccomp), CapBnd $(value CapBnd)"
fi
networks=$(sed 1,2d "/proc/$main/net/dev" | cut -d: -f1 | tr -d ' ')
if [ "$networks" = lo ]; then
    ok "no network but its own, empty one"
else
    failed "networks: $networks"
fi
inside() { nsenter --target "$main" --mount -- "$@" 2>/dev/null; }
homes=/home
somebody=$homes/somebody
mkdir -p /media/stick $somebody
mount -t tmpfs tmpfs /media/stick
if inside touch /media/stick/text /var/spool/pressel/text /var/lib/pressel/text \
    && ! inside touch /usr/text && ! inside touch /etc/pressel/text && ! inside test -e $somebody; then
    ok "writes to its folders and to a stick that came later, not to the system; sees no home"
else
    failed "what it can write and see"
fi
umount /media/stick
rm -rf /media/stick $somebody /var/spool/pressel/text /var/lib/pressel/text
rights=$(stat -c '%a %U %G' /run/pressel /run/pressel/control /var/lib/pressel | tr '\n' ',')
if [ "$rights" = "750 pressel pressel,660 pressel pressel,700 pressel pressel," ]; then
    ok "folders and socket have their rights"
else
    failed "rights: $rights"
fi
if pressel status >/dev/null; then
    ok "pressel status answers"
else
    failed "pressel status"
fi

kill -STOP "$main"
if until_ok 60 restarted; then
    ok "a service that hangs is started anew by the watchdog"
else
    failed "the watchdog: $(property ActiveState), $(property NRestarts) restarts, result $(property Result)"
fi
systemctl stop pressel.service
if [ "$(property Result)" = success ] && [ "$(property ActiveState)" = inactive ] && [ -z "$(left_over)" ]; then
    ok "stopped in order, no process is left"
else
    failed "the stop: $(property ActiveState), result $(property Result)"
fi
echo end
