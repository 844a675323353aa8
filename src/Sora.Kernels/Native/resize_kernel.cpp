// The kernel of resize_kernel.h. This file is compiled once for each instruction set (KERNEL names the result).

#include "resize_kernel.h"
#include "vector.h"

namespace {

// Compilers make gathers of it, where the instruction set has them.
void along(const float* x, const int32_t* left, const float* fraction, int64_t count, float* __restrict y) {
    for (int64_t i = 0; i < count; i++) y[i] = (1 - fraction[i]) * x[left[i]] + fraction[i] * x[left[i] + 1];
}

void between(const float* a, const float* b, float fraction, int64_t count, float* __restrict y) {
    float rest = 1 - fraction;
    for (int64_t i = 0; i < count; i++) y[i] = rest * a[i] + fraction * b[i];
}

}  // namespace

extern const ResizeKernel KERNEL(resize) = {along, between};
