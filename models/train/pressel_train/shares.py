"""`RUN=SHARE` on the command line: what a mean of runs is made of."""

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
