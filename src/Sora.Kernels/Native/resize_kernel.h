// Rows of a picture at another size. Compiled once per instruction set.
#pragma once

#include <cstdint>

struct ResizeKernel {
    // y[i] = (1 - fraction[i]) x[left[i]] + fraction[i] x[left[i] + 1]; x has one number more than `left` names.
    void (*along)(const float* x, const int32_t* left, const float* fraction, int64_t count, float* y);
    // y[i] = (1 - fraction) a[i] + fraction b[i].
    void (*between)(const float* a, const float* b, float fraction, int64_t count, float* y);
};

extern const ResizeKernel resize_portable;
#if defined(__x86_64__)
extern const ResizeKernel resize_avx2;
extern const ResizeKernel resize_avx512;
#endif
