#!/usr/bin/env bash
# The left eye above the right one, squeezed to half of the height: for 3D televisions.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth |
    sora decode --stereo half-tb -o half-tb.mp4
