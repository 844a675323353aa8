// The attention of attention_kernel.h for bfloat16 numbers, with sums in float32; forward only, for processors with
// AVX512-BF16.
#pragma once

#include <cstddef>
#include <cstdint>

// Rows of a matrix of bfloat16 numbers, each contiguous, a fixed even distance apart; an even number of columns.
struct HalfRows {
    uint16_t* data;
    int64_t stride;
};

struct HalfAttention {
    HalfRows q, k, v, out;
    int64_t queries, keys, dim, value_dim;
    float scale;
};

struct HalfAttentionKernel {
    // Floats of scratch memory (64-byte aligned) that a call needs.
    size_t (*scratch)(const HalfAttention&);
    void (*run)(const HalfAttention&, float* scratch);
};

extern const HalfAttentionKernel half_attention_avx512;
