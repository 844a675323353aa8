#!/usr/bin/env bash
# The same clip in another light, and with another left half.
set -euo pipefail

sora generate "a blue cube spins on grass" --size 64x64 --frames 17 --seed 5 -o cube.latent
sora edit cube.latent "a blue cube spins on grass at night" --strength 0.6 --seed 5 | sora decode -o night.mp4
sora edit cube.latent "a yellow ball on grass" --box 0,0,32,64 --seed 5 | sora decode -o half.mp4
