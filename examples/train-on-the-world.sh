#!/usr/bin/env bash
# usage: train-on-the-world.sh [STEPS]   Trains a model from scratch: first its VAE, then the text encoder and the transformer.
set -euo pipefail
steps=${1:-10000}

sora train --world --show world.png
sora train vae --world --clips 64x64x1:8 --clips 64x64x9:2 --steps "$steps" -o vae
sora train transformer --world --vae vae --clips 64x64x9:64 --steps "$steps" -o mine
sora generate --model mine "a red ball on grass" --size 64x64 --frames 9 --seed 1 | sora decode -o mine.mp4
