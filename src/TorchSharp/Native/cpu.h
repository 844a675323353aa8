// What the code around the kernels shares.
#pragma once

#include <cstdlib>
#include <string>

#include <c10/util/Exception.h>

#if defined(__x86_64__)
enum class InstructionSet { Portable, Avx2, Avx512 };

// The best that this processor has, within what ATEN_CPU_CAPABILITY (default, avx2, avx512) allows libtorch's kernels.
inline InstructionSet instruction_set() {
    const char* limit = std::getenv("ATEN_CPU_CAPABILITY");
    std::string most = limit == nullptr ? "avx512" : limit;
    if (most == "avx512" && __builtin_cpu_supports("avx512f")) return InstructionSet::Avx512;
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return most != "default" && avx2 ? InstructionSet::Avx2 : InstructionSet::Portable;
}

#define CHOOSE_KERNEL(base)                                         \
    (instruction_set() == InstructionSet::Avx512 ? base##_avx512    \
     : instruction_set() == InstructionSet::Avx2 ? base##_avx2      \
                                                 : base##_portable)
#else
#define CHOOSE_KERNEL(base) base##_portable
#endif

// Aligned scratch memory that lives as long as the thread's share of the work.
struct Buffer {
    explicit Buffer(size_t floats) : data(static_cast<float*>(std::aligned_alloc(64, (floats * 4 + 63) / 64 * 64))) {
        TORCH_CHECK(data != nullptr, "not enough memory for ", floats * 4, " bytes of scratch");
    }
    ~Buffer() { std::free(data); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    float* data;
};
