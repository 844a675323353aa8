#!/usr/bin/env bash
# usage: depth-of-footage.sh VIDEO MODEL   Depth of a real video: lossless, with the times of its frames, and in colours to look at.
# MODEL is a Depth Anything V2 model, such as Depth-Anything-V2-Small-hf.
set -euo pipefail

sora depth --source "$1" --model "$2" -o depth.mkv
sora depth --source "$1" --model "$2" -o preview.mp4
cat depth.mkv.json

# The depth stays with the clip through the pipe; info draws it below the frames.
sora encode "$1" --size 128x96 --fps 8 | sora depth - --model "$2" --source "$1" -o deep.latent
sora info deep.latent
sora info deep.latent --sheet sheet.png
