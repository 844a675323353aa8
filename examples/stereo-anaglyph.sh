#!/usr/bin/env bash
# usage: stereo-anaglyph.sh [DEPTH_MODEL]   For red and cyan glasses, in three ways to mix the colours.
set -euo pipefail

sora generate "a red ball rolls behind a blue cube on grass" --size 64x64 --frames 9 --seed 1 |
    sora depth --model "${1:-Depth-Anything-V2-Small-hf}" -o deep.latent
for colours in grey colour dubois; do
    sora decode deep.latent --stereo "anaglyph:$colours" -o "anaglyph-$colours.mp4"
done
