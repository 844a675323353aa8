// SiLU of a norm over channels, in one pass over memory. Compiled once per instruction set.
#pragma once

#include <cstdint>

// Some neighbouring places of a clip, in all channels.
struct NormBlock {
    const float* input;
    int64_t input_channel;  // from one channel to the next
    float* output;
    int64_t output_channel;
    const float* gain;  // per channel
    int64_t channels;
    int64_t count;  // places, at most NormKernel::most_places
};

struct NormKernel {
    int64_t most_places;
    // y = x / max(||x||, 1e-12) gain over the channels of each place, and y sigmoid(y).
    void (*activate)(const NormBlock&);
};

extern const NormKernel norm_portable;
#if defined(__x86_64__)
extern const NormKernel norm_avx2;
extern const NormKernel norm_avx512;
#endif
