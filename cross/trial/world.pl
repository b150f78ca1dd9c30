# The world of the simulated board, for `cargo xtask package --test`: a microphone at the pace of
# time. Arguments: the pipe, a recording. Silence, and every eight seconds the recording.
# The smallest Debian's Perl has no clock but whole seconds, so the kernel's is read.
use strict;
use warnings;

my ($pipe, $recording) = @ARGV;
open(my $file, '<:raw', $recording) or die "$recording: $!\n";
my $wav = do { local $/; <$file> };
my $samples = substr($wav, 44);    # 16 kHz, mono, 16 bits, a plain header
$samples .= "\0" x (512 - length($samples) % 512);
my $silence = "\0" x 512;
my $blocks = length($samples) / 512;

sub seconds {
    open(my $clock, '<', '/proc/uptime') or die "/proc/uptime: $!\n";
    return (split ' ', <$clock>)[0];
}

# For reading as well: the pipe then has a reader while the appliance starts anew.
open(my $out, '+<:raw', $pipe) or die "$pipe: $!\n";
my $begun = seconds();
for (my $block = 0; ; $block++) {
    my $in_round = $block % 500;
    syswrite($out, $in_round < $blocks ? substr($samples, $in_round * 512, 512) : $silence);
    my $early = $begun + ($block + 1) * 0.016 - seconds();
    select(undef, undef, undef, $early) if $early > 0;
}
