# The world of the simulated board, for `cargo xtask package --test`: a microphone at the pace of
# time. Arguments: the pipe, a recording. Silence, and every eight seconds the recording.
use strict;
use warnings;
use Time::HiRes qw(sleep time);

my ($pipe, $recording) = @ARGV;
open(my $file, '<:raw', $recording) or die "$recording: $!\n";
my $wav = do { local $/; <$file> };
my $samples = substr($wav, 44);    # 16 kHz, mono, 16 bits, a plain header
$samples .= "\0" x (512 - length($samples) % 512);
my $silence = "\0" x 512;
my $blocks = length($samples) / 512;

# For reading as well: the pipe then has a reader while the appliance starts anew.
open(my $out, '+<:raw', $pipe) or die "$pipe: $!\n";
my $begun = time;
for (my $block = 0; ; $block++) {
    my $in_round = $block % 500;
    syswrite($out, $in_round < $blocks ? substr($samples, $in_round * 512, 512) : $silence);
    my $early = $begun + ($block + 1) * 0.016 - time;
    sleep($early) if $early > 0;
}
