#!/usr/bin/env bash
# Animates a still: the first frame is given, and the model generates the rest.
set -euo pipefail

sora generate "a blue cube on grass" --size 96x96 --frames 1 --seed 3 | sora decode -o cube.png
sora generate "a blue cube slides right on grass" --image cube.png --size 96x96 --duration 1s --seed 3 | sora decode -o cube.mp4
