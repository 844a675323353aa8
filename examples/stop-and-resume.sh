#!/usr/bin/env bash
# A run that stops halfway, for a look, and is resumed gives the same clip, bit for bit, as one that never stopped.
set -euo pipefail

make=(sora generate "a red ball bounces on sand" --size 64x64 --frames 9 --steps 6 --seed 1)
"${make[@]}" --preview preview.png -o whole.latent
"${make[@]}" --until 3 -o draft.latent
sora decode draft.latent -o look.mp4
sora generate --resume draft.latent -o resumed.latent

# A long video is generated in windows; --until counts the steps of all of them.
make=(sora generate "a red ball rolls left on sand" --size 64x64 --frames 33 --window 17 --steps 2 --seed 1)
"${make[@]}" -o long.latent
"${make[@]}" --until 3 | sora generate --resume - -o long-resumed.latent
for clip in whole resumed long long-resumed; do sora decode "$clip.latent" -o "$clip-%04d.png"; done
for frame in whole-*.png; do cmp "$frame" "resumed${frame#whole}"; done
for frame in long-0*.png; do cmp "$frame" "long-resumed${frame#long}"; done
