#!/usr/bin/env bash
# usage: real-footage.sh VIDEO   Takes a real video through the latent space and back, and measures the loss.
set -euo pipefail

sora encode "$1" --size 128x96 --fps 8 | sora decode -o back.mp4
ffmpeg -v error -y -i "$1" -vf scale=128:96,fps=8 -pix_fmt yuv420p original.mp4
ffmpeg -hide_banner -i back.mp4 -i original.mp4 -lavfi psnr -f null - 2>&1 | grep -o 'average:[^ ]*'
