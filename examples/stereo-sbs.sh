#!/usr/bin/env bash
# usage: stereo-sbs.sh [DEPTH_MODEL]   Both eyes beside each other, each at full size.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 64x64 --frames 9 --seed 1 |
    sora depth --model "${1:-Depth-Anything-V2-Small-hf}" -o deep.latent
sora decode deep.latent --stereo sbs -o sbs.mp4
