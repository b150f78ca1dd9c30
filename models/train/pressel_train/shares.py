"""The mean of runs: `RUN=SHARE` on the command line, and the mean of their weights."""

import argparse


def run_and_share(text):
    """Returns (run, share), or says how it is written."""
    run, _, share = text.partition("=")
    try:
        share = float(share)
    except ValueError:
        share = 0.0
    if not run or share <= 0:
        raise argparse.ArgumentTypeError(f"{text}: write a run and its share, as run3=0.3")
    return run, share


def mean_of(parts):
    """The mean of [(weights, share), ...]; whole numbers are those of the last one."""
    total, mean = sum(share for _, share in parts), {}
    for weights, share in parts:
        for name, value in weights.items():
            if value.dtype.is_floating_point:
                value = mean.get(name, 0) + value * (share / total)
            mean[name] = value
    return mean
