// The library's surface, as KernelLibrary.cs declares it. Functions that return an int give 0, or 1 without memory.
#pragma once

#include <cstdint>

#define EXPORT extern "C" __attribute__((visibility("default")))

// A float32 tensor in memory; strides in elements.
struct View {
    float* data;
    const int64_t* sizes;
    const int64_t* strides;
    int64_t dims;
};
