// Convolution with unit strides: the kernels of convolution_kernel.h and winograd_kernel.h spread over threads, forward and
// backward.

#include "convolution_kernel.h"

#include <algorithm>
#include <vector>

#include "cpu.h"
#include "kernels.h"
#include "winograd.h"

namespace {

const ConvolutionKernel& kernel() {
    static const ConvolutionKernel& chosen = CHOOSE_KERNEL(convolution);
    return chosen;
}

// Sizes of time, height and width; two-dimensional tensors have one frame.
struct Extent {
    int64_t t, h, w;

    static Extent of(const int64_t* sizes, int64_t dims, int64_t absent) {
        return dims == 5 ? Extent{sizes[0], sizes[1], sizes[2]} : Extent{absent, sizes[0], sizes[1]};
    }
    int64_t volume() const { return t * h * w; }
    int64_t area() const { return h * w; }
};

// What follows from the sizes alone.
struct Plan {
    int64_t batch;
    Extent size, window, border, padded, result;
    std::vector<int64_t> taps;
    ConvolutionShape shape{};
    int64_t positions, blocks;  // of a frame

    explicit Plan(const Sizes& sizes)
        : batch(sizes.input[0]),
          size(Extent::of(sizes.input + 2, sizes.dims, 1)),
          window(Extent::of(sizes.weight + 2, sizes.dims, 1)),
          border(Extent::of(sizes.padding, sizes.dims, 0)),
          padded{size.t, size.h + 2 * border.h, size.w + 2 * border.w},
          result{size.t + 2 * border.t - window.t + 1, padded.h - window.h + 1, padded.w - window.w + 1} {
        for (int64_t y = 0; y < window.h; y++)
            for (int64_t x = 0; x < window.w; x++) taps.push_back(y * padded.w + x);
        shape.in_channels = sizes.input[1];
        shape.out_channels = sizes.weight[0];
        shape.frames = window.t;
        shape.tap_count = static_cast<int64_t>(taps.size());
        shape.taps = taps.data();
        shape.plane = padded.volume();
        shape.frame = padded.area();
        shape.row = padded.w;
        shape.width = result.w;
        shape.out_plane = result.volume();
        // The last row needs no positions beyond its last column.
        positions = (result.h - 1) * padded.w + result.w;
        blocks = (positions + kernel().block_positions - 1) / kernel().block_positions;
    }
    Plan(const Plan&) = delete;

    int64_t groups() const { return (shape.in_channels + kernel().group - 1) / kernel().group; }
    size_t image_size() const { return groups() * kernel().group * padded.volume() + kernel().slack; }

    // Of the window at an output frame: the input's frame under its first, and what lies in the input.
    int64_t origin(int64_t frame) const { return frame - border.t; }
    int64_t first_frame(int64_t frame) const { return std::max<int64_t>(0, -origin(frame)); }
    int64_t last_frame(int64_t frame) const { return std::min(window.t, size.t - origin(frame)); }
    int64_t first(int64_t block) const { return block * kernel().block_positions; }
    int64_t count(int64_t block) const { return std::min(kernel().block_positions, positions - first(block)); }

    // Surrounds each plane of one image with zeros, and adds planes of zeros up to a full group.
    void pad(const float* input, float* target) const {
        parallel_for(groups() * kernel().group * size.t, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                float* to = target + i * padded.area();
                if (i >= shape.in_channels * size.t) {
                    std::fill_n(to, padded.area(), 0.0f);
                    continue;
                }
                const float* source = input + i * size.area();
                to = std::fill_n(to, border.h * padded.w, 0.0f);
                for (int64_t y = 0; y < size.h; y++, source += size.w) {
                    to = std::fill_n(to, border.w, 0.0f);
                    to = std::copy_n(source, size.w, to);
                    to = std::fill_n(to, border.w, 0.0f);
                }
                std::fill_n(to, border.h * padded.w, 0.0f);
            }
        });
        std::fill_n(target + image_size() - kernel().slack, kernel().slack, 0.0f);
    }
};

// `sizes` are those of the weights as they are used. False without memory.
bool convolve(const float* input, const ConvolutionWeights& weight, const Sizes& sizes, const float* bias, float* output) {
    if (winograd_pays(sizes)) return winograd(input, weight, sizes, bias, output);
    Plan plan(sizes);
    int64_t tiles = (plan.shape.out_channels + kernel().group - 1) / kernel().group;
    int64_t tile_size = kernel().group * plan.shape.in_channels * plan.window.volume();
    Buffer weights(tiles * tile_size), image(plan.image_size());
    if (weights.data == nullptr || image.data == nullptr) return false;
    parallel_for(tiles, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++)
            kernel().pack_weights(plan.shape, weight, i * kernel().group, weights.data + i * tile_size);
    });
    Failed failed{false};
    for (int64_t n = 0; n < plan.batch; n++) {
        plan.pad(input + n * plan.shape.in_channels * plan.size.volume(), image.data);
        float* target = output + n * plan.shape.out_channels * plan.result.volume();
        parallel_for(plan.result.t * plan.blocks, [&](int64_t begin, int64_t end) {
            ConvolutionBlock p{};
            p.weights = weights.data;
            p.bias = bias;
            Buffer scratch(kernel().scratch(plan.shape));
            if (scratch.data == nullptr) failed = true;
            for (int64_t i = begin; i < end && !failed; i++) {
                int64_t frame = i / plan.blocks, block = i % plan.blocks;
                p.input = image.data + plan.origin(frame) * plan.shape.frame;
                p.first_frame = plan.first_frame(frame);
                p.last_frame = plan.last_frame(frame);
                p.first = plan.first(block);
                p.count = plan.count(block);
                p.output = target + frame * plan.result.area();
                kernel().convolve(plan.shape, p, scratch.data);
            }
        });
    }
    return !failed;
}

// False without memory.
bool weight_gradient(const float* input, const float* grad, const Sizes& sizes, float* target) {
    Plan plan(sizes);
    const ConvolutionShape& shape = plan.shape;
    int64_t columns = (shape.out_channels + kernel().panel - 1) / kernel().panel * kernel().panel;
    int64_t units = shape.frames * plan.groups() * shape.tap_count;
    int64_t block_size = columns * kernel().block_positions;
    Buffer image(plan.image_size());
    Buffer packed(plan.result.t * plan.blocks * block_size);
    Buffer sums(units * kernel().group * columns);
    if (image.data == nullptr || packed.data == nullptr || sums.data == nullptr) return false;
    std::fill_n(sums.data, units * kernel().group * columns, 0.0f);
    for (int64_t n = 0; n < plan.batch; n++) {
        plan.pad(input + n * shape.in_channels * plan.size.volume(), image.data);
        const float* source = grad + n * shape.out_channels * plan.result.volume();
        parallel_for(plan.result.t * plan.blocks, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++)
                kernel().pack_gradient(shape, source + i / plan.blocks * plan.result.area(), plan.first(i % plan.blocks),
                                       plan.count(i % plan.blocks), packed.data + i * block_size);
        });
        parallel_for(units, [&](int64_t begin, int64_t end) {
            ConvolutionGradientBlock p{};
            p.first_unit = begin;
            p.last_unit = end;
            p.gradient = sums.data;
            for (int64_t i = 0; i < plan.result.t * plan.blocks; i++) {
                int64_t frame = i / plan.blocks, block = i % plan.blocks;
                p.input = image.data + plan.origin(frame) * shape.frame;
                p.first_frame = plan.first_frame(frame);
                p.last_frame = plan.last_frame(frame);
                p.first = plan.first(block);
                p.count = plan.count(block);
                p.packed = packed.data + i * block_size;
                kernel().accumulate(shape, p);
            }
        });
    }
    parallel_for(shape.in_channels, [&](int64_t begin, int64_t end) {
        for (int64_t in = begin; in < end; in++)
            for (int64_t out = 0; out < shape.out_channels; out++) {
                float* to = target + (out * shape.in_channels + in) * shape.frames * shape.tap_count;
                for (int64_t frame = 0; frame < shape.frames; frame++)
                    for (int64_t tap = 0; tap < shape.tap_count; tap++) {
                        int64_t unit = (frame * plan.groups() + in / kernel().group) * shape.tap_count + tap;
                        *to++ = sums.data[(unit * kernel().group + in % kernel().group) * columns + out];
                    }
            }
    });
    return true;
}

}  // namespace

Threads threads{};

EXPORT void sora_kernels_start(const Threads* runtime) { threads = *runtime; }

// 0 for portable vectors, 1 for AVX2, 2 for AVX-512.
EXPORT int sora_kernels_instructions() {
#if defined(__x86_64__)
    return static_cast<int>(instruction_set());
#else
    return 0;
#endif
}

// Whether sora_convolution() is the faster way for these sizes; the padding is smaller than the window.
EXPORT int sora_convolution_pays(const int64_t* input, const int64_t* weight, const int64_t* padding, int64_t dims, int trains) {
    bool is_wide = std::max(input[1], weight[0]) > kernel().most_channels;
    if (is_wide && (trains || !winograd_pays({input, weight, padding, dims}))) return 0;
    // Narrow images waste too much of each padded row, and single taps are a plain matrix product.
    return input[dims - 1] >= 12 && weight[dims - 1] > 1;
}

// Convolution of contiguous tensors in two or three dimensions with unit strides and zero padding.
EXPORT int sora_convolution(const View* input, const View* weight, const float* bias, const int64_t* padding, float* output) {
    ConvolutionWeights plain{weight->data, weight->strides[0], weight->strides[1], false};
    return !convolve(input->data, plain, {input->sizes, weight->sizes, padding, input->dims}, bias, output);
}

// The gradient of the input: a convolution again, with the weights mirrored and their channels exchanged.
EXPORT int sora_convolution_input_gradient(const View* grad, const View* weight, const int64_t* padding, float* input_grad) {
    ConvolutionWeights mirrored{weight->data, weight->strides[1], weight->strides[0], true};
    std::vector<int64_t> around, sizes(weight->sizes, weight->sizes + weight->dims);
    std::swap(sizes[0], sizes[1]);
    for (int64_t i = 2; i < weight->dims; i++) around.push_back(sizes[i] - 1 - padding[i - 2]);
    return !convolve(grad->data, mirrored, {grad->sizes, sizes.data(), around.data(), grad->dims}, nullptr, input_grad);
}

EXPORT int sora_convolution_weight_gradient(const View* input, const View* grad, const View* weight_grad, const int64_t* padding) {
    return !weight_gradient(input->data, grad->data, {input->sizes, weight_grad->sizes, padding, input->dims}, weight_grad->data);
}
