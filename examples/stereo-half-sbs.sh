#!/usr/bin/env bash
# Both eyes beside each other, squeezed to half of the width: for 3D televisions.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 128x128 --duration 1s --seed 1 |
    sora depth |
    sora decode --stereo half-sbs -o half-sbs.mkv
