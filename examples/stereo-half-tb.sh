#!/usr/bin/env bash
# usage: stereo-half-tb.sh [DEPTH_MODEL]   The left eye above the right one, squeezed to half of the height: for 3D televisions.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 64x64 --frames 9 --seed 1 |
    sora depth --model "${1:-Depth-Anything-V2-Small-hf}" -o deep.latent
sora decode deep.latent --stereo half-tb -o half-tb.mp4
