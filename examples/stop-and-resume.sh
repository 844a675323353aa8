#!/usr/bin/env bash
# A sampling that stops half way, to be looked at, and goes on gives the same clip, bit for bit, as one that doesn't.
set -euo pipefail

make=(sora generate "a red ball bounces on sand" --size 64x64 --frames 9 --steps 6 --seed 1)
"${make[@]}" --preview preview.png -o whole.latent
"${make[@]}" --until 3 -o draft.latent
sora decode draft.latent -o look.mp4
sora generate --resume draft.latent -o resumed.latent
for clip in whole resumed; do sora decode "$clip.latent" -o "$clip-%04d.png"; done
for frame in whole-*.png; do cmp "$frame" "resumed${frame#whole}"; done
