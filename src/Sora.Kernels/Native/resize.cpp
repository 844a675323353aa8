// Bilinear resizing: the kernel of resize_kernel.h spread over threads.

#include "resize_kernel.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cpu.h"
#include "kernels.h"

namespace {

// Where each of `count` places lies between `size` places with the same ends, in float32 as libtorch has it. The last place
// lies right of the one before, so that there is always one more to the right; a single place is read twice.
void places(int64_t size, int64_t count, std::vector<int32_t>& left, std::vector<float>& fraction) {
    float scale = count > 1 ? static_cast<float>(size - 1) / static_cast<float>(count - 1) : 0.0f;
    left.resize(count);
    fraction.resize(count);
    for (int64_t i = 0; i < count; i++) {
        float place = scale * static_cast<float>(i);
        int64_t first = std::max<int64_t>(std::min(static_cast<int64_t>(place), size - 2), 0);
        left[i] = static_cast<int32_t>(first);
        fraction[i] = size > 1 ? std::min(place - static_cast<float>(first), 1.0f) : 0.0f;
    }
}

}  // namespace

// Of contiguous [B, C, H, W] tensors; ends lie on ends. Returns 1 without memory.
EXPORT int sora_resize_bilinear(const View* input, const View* output) try {
    static const ResizeKernel& kernel = CHOOSE_KERNEL(resize);
    int64_t rows = input->sizes[2], columns = input->sizes[3], height = output->sizes[2], width = output->sizes[3];
    std::vector<int32_t> left, upper;
    std::vector<float> across, down;
    places(columns, width, left, across);
    places(rows, height, upper, down);
    Failed failed(false);
    parallel_for(input->sizes[0] * input->sizes[1], [&](int64_t begin, int64_t end) {
        // An input row with its last number twice, and two rows of the output's width.
        Buffer memory(columns + 1 + 2 * width);
        if (memory.data == nullptr) {
            failed = true;
            return;
        }
        float* row = memory.data;
        for (int64_t plane = begin; plane < end; plane++) {
            const float* x = input->data + plane * rows * columns;
            float* y = output->data + plane * height * width;
            float *above = row + columns + 1, *below = above + width;
            int64_t above_row = -1, below_row = -1;
            auto widen = [&](int64_t from, float* to) {
                std::copy(x + from * columns, x + (from + 1) * columns, row);
                row[columns] = row[columns - 1];
                kernel.along(row, left.data(), across.data(), width, to);
            };
            for (int64_t i = 0; i < height; i++) {
                int64_t first = upper[i], second = std::min(first + 1, rows - 1);
                if (first != above_row) {
                    std::swap(above, below);
                    std::swap(above_row, below_row);
                }
                if (first != above_row) widen(above_row = first, above);
                if (second != below_row) widen(below_row = second, below);
                kernel.between(above, below, down[i], width, y + i * width);
            }
        }
    });
    return failed ? 1 : 0;
} catch (const std::bad_alloc&) {
    return 1;
}
