#!/usr/bin/env bash
# The same clip in another light, with another left half, without anything blue, and changed only at its end.
set -euo pipefail

sora generate "a blue cube spins on grass" --size 64x64 --frames 17 --seed 5 -o cube.latent
sora edit cube.latent "a blue cube spins on grass at night" --strength 0.6 --seed 5 | sora decode -o night.mp4
sora edit cube.latent "a yellow ball on grass" --box 0,0,32,64 --seed 5 | sora decode -o half.mp4
ffmpeg -v error -y -f lavfi -i color=black:size=64x64,drawbox=w=32:h=64:color=white:t=fill -frames:v 1 left.png
sora edit cube.latent "a yellow ball on grass" --mask left.png --invert --seed 5 | sora decode -o other-half.mp4
sora edit cube.latent "grass" --colour blue:0.3 --feather 4 --seed 5 | sora decode -o gone.mp4
sora edit cube.latent "it stops" --time 0.5s-end --seed 5 | sora decode -o end.mp4
