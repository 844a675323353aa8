// What the code around the kernels shares.
#pragma once

#include <cstdlib>

#include <c10/util/Exception.h>

// The kernel for the best instruction set that this processor has.
#if defined(__x86_64__)
#define CHOOSE_KERNEL(base)                                                          \
    (__builtin_cpu_supports("avx512f") ? base##_avx512                               \
     : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? base##_avx2 \
                                                                       : base##_portable)
#else
#define CHOOSE_KERNEL(base) base##_portable
#endif

// Aligned scratch memory that lives as long as the thread's share of the work.
struct Buffer {
    explicit Buffer(size_t floats) : data(static_cast<float*>(std::aligned_alloc(64, (floats * 4 + 63) / 64 * 64))) {
        TORCH_CHECK(data != nullptr, "attention: not enough memory for ", floats * 4, " bytes of scratch");
    }
    ~Buffer() { std::free(data); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    float* data;
};
