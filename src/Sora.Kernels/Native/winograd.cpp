// Convolution by windows of 3x3 on the CPU: the kernel of winograd_kernel.h spread over threads.

#include "winograd.h"

#include <algorithm>

#include "cpu.h"
#include "winograd_kernel.h"

namespace {

const WinogradKernel& kernel() {
    static const WinogradKernel& chosen = CHOOSE_KERNEL(winograd);
    return chosen;
}

// Output frames that share the transform of the input frames under them, and of the weights.
constexpr int64_t FramesAtATime = 4;

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// What follows from the sizes alone. A batch of images is taken as the frames of one clip that don't see each other.
struct Plan {
    int64_t clips = 1, in_frames, border_t = 0, out_frames;
    int64_t clip, out_clip;  // floats
    int64_t rows;            // of tiles
    WinogradShape shape{};

    explicit Plan(const Sizes& sizes) {
        const int64_t *input = sizes.input, *weight = sizes.weight, *padding = sizes.padding;
        bool is_clip = sizes.dims == 5;
        shape.in_channels = input[1];
        shape.out_channels = weight[0];
        shape.frames = is_clip ? weight[2] : 1;
        shape.height = input[sizes.dims - 2];
        shape.width = input[sizes.dims - 1];
        shape.border_h = padding[sizes.dims - 4];
        shape.border_w = padding[sizes.dims - 3];
        shape.out_height = shape.height + 2 * shape.border_h - 2;
        shape.out_width = shape.width + 2 * shape.border_w - 2;
        shape.strips = ceil_divide(shape.out_width, kernel().tile * kernel().lanes);
        rows = ceil_divide(shape.out_height, kernel().tile);
        int64_t area = shape.height * shape.width, out_area = shape.out_height * shape.out_width;
        in_frames = out_frames = input[0];
        shape.plane = area;
        shape.out_plane = out_area;
        shape.frame = shape.in_channels * area;
        shape.out_frame = shape.out_channels * out_area;
        if (is_clip) {
            clips = input[0];
            in_frames = input[2];
            border_t = padding[0];
            out_frames = in_frames + 2 * border_t - shape.frames + 1;
            shape.plane = in_frames * area;
            shape.out_plane = out_frames * out_area;
            shape.frame = area;
            shape.out_frame = out_area;
        }
        clip = shape.in_channels * in_frames * area;
        out_clip = shape.out_channels * out_frames * out_area;
    }

    int64_t pixels() const { return clips * out_frames * shape.out_height * shape.out_width; }
    int64_t strips() const { return rows * shape.strips; }
};

}  // namespace

bool winograd_pays(const Sizes& sizes) {
    if (sizes.weight[sizes.dims - 2] != 3 || sizes.weight[sizes.dims - 1] != 3) return false;
    Plan plan(sizes);
    // The transforms take their time: they must be shared by many channels, and that of the weights by many pixels.
    if (plan.shape.in_channels < 32 || plan.shape.out_channels < 32 || plan.pixels() < 4096) return false;
    // Tiles that hang over the edges are computed, too; half the rate is that of the plain product.
    int64_t whole = plan.clips * plan.out_frames * plan.strips() * kernel().lanes * kernel().tile * kernel().tile;
    return plan.pixels() * 9 >= whole * 4;
}

bool winograd(const float* input, const ConvolutionWeights& weight, const Sizes& sizes, const float* bias, float* output) {
    Plan plan(sizes);
    const WinogradShape& shape = plan.shape;
    Buffer weights(kernel().weights_size(shape));
    if (weights.data == nullptr) return false;
    parallel_for(ceil_divide(shape.out_channels, kernel().group), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) kernel().pack_weights(shape, weight, i * kernel().group, weights.data);
    });

    int64_t blocks = ceil_divide(plan.strips(), kernel().most_strips);
    int64_t parts = ceil_divide(plan.out_frames, FramesAtATime);
    Failed failed{false};
    parallel_for(plan.clips * parts * blocks, [&](int64_t begin, int64_t end) {
        Buffer scratch(kernel().scratch(shape, std::min(FramesAtATime, plan.out_frames)));
        if (scratch.data == nullptr) {
            failed = true;
            return;
        }
        WinogradBlock p{};
        p.weights = weights.data;
        p.bias = bias;
        for (int64_t i = begin; i < end; i++) {
            int64_t block = i % blocks, part = i / blocks % parts, n = i / blocks / parts;
            int64_t frame = part * FramesAtATime, origin = frame - plan.border_t;
            p.out_frames = std::min(FramesAtATime, plan.out_frames - frame);
            p.first_frame = -origin;
            p.last_frame = plan.in_frames - origin;
            p.first = block * plan.strips() / blocks;
            p.count = (block + 1) * plan.strips() / blocks - p.first;
            p.input = input + n * plan.clip + origin * shape.frame;
            p.output = output + n * plan.out_clip + frame * shape.out_frame;
            kernel().convolve(shape, p, scratch.data);
        }
    });
    return !failed;
}
