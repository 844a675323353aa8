// Convolution by windows of 3x3 in fewer products: Winograd's F(4x4, 3x3) (https://arxiv.org/abs/1509.09308). A tile of 6x6
// input pixels and a window become 36 numbers each by a linear transform; the product of the two, number by number, becomes
// 4x4 output pixels by another. Sums over input channels and over the window's frames are taken in between, so the work is
// 36 matrix products with a quarter of the operations. Compiled once for each instruction set.
//
// A strip is Lanes neighbouring tiles of one row of tiles; a block some strips, for some successive output frames.
#pragma once

#include <cstddef>
#include <cstdint>

#include "convolution_kernel.h"

struct WinogradShape {
    int64_t in_channels, out_channels;
    int64_t frames;               // of the window
    int64_t height, width;        // of the input
    int64_t border_h, border_w;   // of zeros around it
    int64_t plane, frame;         // from one input channel and frame to the next
    int64_t out_height, out_width;
    int64_t out_plane, out_frame;
    int64_t strips;               // in a row of tiles
};

struct WinogradBlock {
    const float* input;               // the frame under the window's first, at the first output frame
    int64_t first_frame, last_frame;  // of those from there on: what lies in the input
    int64_t out_frames;
    int64_t first, count;             // strips, count at most most_strips
    const float* weights;             // as pack_weights leaves them
    const float* bias;                // per output channel, or null
    float* output;                    // of the first output frame
};

struct WinogradKernel {
    int64_t tile;         // output pixels a side
    int64_t lanes;        // tiles of a strip
    int64_t most_strips;  // of a block
    int64_t group;        // output channels that are packed together
    size_t (*weights_size)(const WinogradShape&);
    // Transforms the weights of `group` output channels.
    void (*pack_weights)(const WinogradShape&, const ConvolutionWeights&, int64_t first_out, float* packed);
    size_t (*scratch)(const WinogradShape&, int64_t out_frames);
    void (*convolve)(const WinogradShape&, const WinogradBlock&, float* scratch);
};

extern const WinogradKernel winograd_portable;
#if defined(__x86_64__)
extern const WinogradKernel winograd_avx2;
extern const WinogradKernel winograd_avx512;
#endif
