// Convolution with unit strides, directly on padded planes. Compiled once for each instruction set.
//
// Rows are padded, frames are not. A position is a number on the padded grid of one frame, and each tap of the window
// reads a constant distance from it. Positions that hang over the end of a row are computed too, but don't count.
#pragma once

#include <cstddef>
#include <cstdint>

struct ConvolutionShape {
    int64_t in_channels, out_channels;
    int64_t frames;        // of the window
    int64_t tap_count;     // of the window within a frame
    const int64_t* taps;   // their distances
    int64_t plane, frame;  // from one input channel and frame to the next
    int64_t row, width;    // length of a padded row; columns of the output
    int64_t out_plane;     // from one output channel to the next
};

// Weights [out, in, frame, tap] in memory; or those of the input's gradient, which are mirrored and have their channels
// exchanged.
struct ConvolutionWeights {
    const float* data;
    int64_t out_stride, in_stride;
    bool mirrored;
};

// Some positions of one output frame, for all output channels.
struct ConvolutionBlock {
    const float* input;                // where the window's first frame begins
    int64_t first_frame, last_frame;   // of the window: what lies in the input
    int64_t first, count;              // positions, count at most block_positions
    const float* weights;              // as pack_weights leaves them, tile after tile
    const float* bias;                 // per output channel, or null
    float* output;
};

// A share of the gradient of the weights: units of one window's frame, tap and a group of input channels.
struct ConvolutionGradientBlock {
    const float* input;  // as above, with planes of zeros up to a full group of channels
    int64_t first_frame, last_frame;
    int64_t first, count;
    const float* packed;  // as pack_gradient leaves it
    int64_t first_unit, last_unit;
    float* gradient;  // [unit, group, out channels rounded up to panels], added to
};

struct ConvolutionKernel {
    int64_t most_channels;  // up to which it is faster than what libtorch has
    int64_t block_positions;
    int64_t slack;  // floats that may be read beyond the last plane
    int64_t group;  // channels of a tile: output channels of packed weights, input channels of a unit
    int64_t panel;
    void (*pack_weights)(const ConvolutionShape&, const ConvolutionWeights&, int64_t first_out, float* packed);
    size_t (*scratch)(const ConvolutionShape&);
    void (*convolve)(const ConvolutionShape&, const ConvolutionBlock&, float* scratch);
    void (*pack_gradient)(const ConvolutionShape&, const float* gradient, int64_t first, int64_t count, float* packed);
    void (*accumulate)(const ConvolutionShape&, const ConvolutionGradientBlock&);
};

extern const ConvolutionKernel convolution_portable;
#if defined(__x86_64__)
extern const ConvolutionKernel convolution_avx2;
extern const ConvolutionKernel convolution_avx512;
#endif
