#pragma once

#include <cstdint>

#include "convolution_kernel.h"

// The sizes of a convolution: [batch, channels, (time,) height, width] and [out, in, (time,) height, width].
struct Sizes {
    const int64_t* input;
    const int64_t* weight;
    const int64_t* padding;  // of the dimensions behind the channels
    int64_t dims;
};

// Whether winograd() can take these sizes, and is the faster way.
bool winograd_pays(const Sizes& sizes);

// Convolution of contiguous `input` into contiguous `output`; the sizes of the weights are those as they are used. False
// without memory.
bool winograd(const float* input, const ConvolutionWeights& weight, const Sizes& sizes, const float* bias, float* output);
