#!/usr/bin/env bash
# usage: stereo-half-sbs.sh [DEPTH_MODEL]   Both eyes beside each other, squeezed to half of the width: for 3D televisions.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 64x64 --frames 9 --seed 1 |
    sora depth --model "${1:-Depth-Anything-V2-Small-hf}" -o deep.latent
sora decode deep.latent --stereo half-sbs -o half-sbs.mkv
