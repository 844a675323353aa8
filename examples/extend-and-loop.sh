#!/usr/bin/env bash
# Extends a clip at its end and its beginning, closes it to a loop, and makes it as long as you like, with a prompt for each part.
set -euo pipefail

sora generate "a blue cube slides right on grass" --size 64x64 --frames 17 --seed 5 -o cube.latent
sora extend cube.latent --after 1s --before 1s "it stops and spins" --seed 5 | sora decode -o long.mp4
sora extend cube.latent --after 4s --window 33 --prompt-at 3s="the cube spins" --seed 5 | sora decode -o longer.mp4
sora extend cube.latent --loop --seed 5 | sora decode -o loop.gif
