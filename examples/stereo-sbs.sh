#!/usr/bin/env bash
# Both eyes beside each other, each at full size.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth |
    sora decode --stereo sbs -o sbs.mp4
