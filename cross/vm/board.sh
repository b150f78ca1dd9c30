# What can be done to the virtual board, as functions of the shell; sourced by the agent.
#
# The pins are a gpio-sim bank with the label that boards/vm.toml names: line 0 is the button, 1 the
# mute switch (both active low), 2 to 5 are LEDs. The sound card is snd-aloop, the disk ext4 on
# virtio, the serial line ttyS1 or a USB adapter.

BANK=/sys/kernel/config/gpio-sim/board
DRIVERS=/sys/bus/platform/drivers
TRACING=/sys/kernel/tracing

# chip_in: plugs the GPIO chip in, buttons at rest. chip_out: the chip is gone.
chip_in() {
    if [ ! -d $BANK ]; then
        mkdir -p $BANK/bank0
        echo 8 >$BANK/bank0/num_lines
        echo pressel-vm >$BANK/bank0/label
    fi
    echo 1 >$BANK/live
    release
    unmute
}
chip_out() {
    echo 0 >$BANK/live
}

# The folder of the bank's lines; it may have another number each time.
lines() {
    read -r device <$BANK/dev_name
    read -r chip <$BANK/bank0/chip_name
    echo "/sys/devices/platform/$device/$chip"
}
pin() {
    echo "$2" >"$(lines)/sim_gpio$1/pull"
}
press() { pin 0 pull-down; }
release() { pin 0 pull-up; }
mute() { pin 1 pull-down; }
unmute() { pin 1 pull-up; }

# held_lines: how many lines of a chip the appliance holds, as the kernel counts.
held_lines() {
    grep -c '|pressel' /sys/kernel/debug/gpio || true
}

# leds: `LISTENING THINKING SENT ERROR`, each 0 or 1, as the kernel has them.
leds() {
    folder=$(lines)
    now=
    for line in 2 3 4 5; do
        read -r value <"$folder/sim_gpio$line/value"
        now="$now$value "
    done
    echo "$now"
}
# watch_leds: lets the kernel note each level that is set. seen_leds: ends that, and prints them in
# their order as `LINE LEVEL`.
watch_leds() {
    echo >$TRACING/trace
    echo 1 >$TRACING/events/gpio/gpio_value/enable
}
seen_leds() {
    echo 0 >$TRACING/events/gpio/gpio_value/enable
    first=$(sed -n 's/^gpiochip.*: GPIOs \([0-9]*\)-.*gpio-sim.*/\1/p' /sys/kernel/debug/gpio)
    sed -n 's/.* gpio_value: \([0-9]*\) set \([01]\)/\1 \2/p' $TRACING/trace |
        while read -r number level; do
            echo "$((number - first)) $level"
        done
}

# card_out: the sound card is gone; ends when all who had it have closed it. card_in: it is back.
card_out() {
    echo snd_aloop.0 >$DRIVERS/snd_aloop/unbind
}
card_in() {
    echo snd_aloop.0 >$DRIVERS/snd_aloop/bind
}
# capture_state: what the kernel says of the appliance's end of the loop.
capture_state() {
    head -n 1 /proc/asound/Loopback/pcm1c/sub0/status
}

# play FILE: at the pace of time, into the other end of the loop.
play() {
    timeout 60 aplay -q -D hw:Loopback,0,0 "/demo/$1"
}
# say FILE: holds the button, speaks, lets go.
say() {
    press
    play "$1"
    code=$?
    release
    return $code
}

# cables: serial adapters that are plugged in.
cables() {
    ls /dev/ttyUSB* 2>/dev/null || true
}

# disk_in: mounts the disk; what a power cut left in its log is done by that.
disk_in() {
    mount -t ext4 /dev/vda /mnt
    mkdir -p /mnt/state /mnt/spool /run/pressel
}

# start OPTIONS: the appliance, with its allocations counted in /tmp/count.PID. PROGRAM, where it is set, is
# another build of it.
start() {
    rm -f /tmp/code /tmp/count.* /tmp/log /tmp/pid
    (
        [ -e /lib/vm/count.so ] && export COUNT_FILE=/tmp/count LD_PRELOAD=/lib/vm/count.so
        export PROGRAM
        sh -c '
            echo $$ >/tmp/pid
            exec "${PROGRAM:-pressel}" run --state-dir /mnt/state --spool /mnt/spool -v "$@"
        ' pressel "$@"
        echo $? >/tmp/code
    ) >/dev/null 2>/tmp/log &
}
# stop: asks it to end, and prints the code that it ends with.
stop() {
    kill -TERM "$(cat /tmp/pid)"
    tries=0
    while [ ! -s /tmp/code ] && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    cat /tmp/code
}
# counts: allocations and frees of its first thread, and bytes and callers of the newest.
counts() {
    od -An -v -t u8 -w272 "/tmp/count.$(cat /tmp/pid)"
}
# worker_ticks: processor time of a process so far, in hundredths of a second.
worker_ticks() {
    set -- $(cut -d ')' -f 2 "/proc/$1/stat")
    echo $((${12} + ${13}))
}
# fill_spool COUNT: as many recordings as would take long, without their room on the disk.
fill_spool() {
    cp /demo/load.wav /mnt/load.wav
    for number in $(seq "$1"); do
        ln /mnt/load.wav "/mnt/spool/load-$number.wav"
    done
}
empty_spool() {
    rm -f /mnt/spool/load-* /mnt/load.wav
}
