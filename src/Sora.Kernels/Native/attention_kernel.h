// Attention over one head in blocks, without a matrix of all scores. Compiled once per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

// Rows of a matrix, each contiguous, a fixed distance apart.
struct ConstRows {
    const float* data;
    int64_t stride;
};

struct Rows {
    float* data;
    int64_t stride;
};

// softmax(scale q k') v for `queries` rows of one head.
struct AttentionForward {
    ConstRows q, k, v;
    Rows out;
    float* log_sum;  // per query: log2 of the sum of 2^score, for the backward pass
    int64_t queries, keys, dim, value_dim;
    float scale;
};

// The gradients of the above for one whole head.
struct AttentionBackward {
    ConstRows q, k, v, out, grad;
    const float* log_sum;
    Rows q_grad, k_grad, v_grad;
    int64_t queries, keys, dim, value_dim;
    float scale;
};

struct AttentionKernel {
    // Floats of scratch memory (64-byte aligned) that a call needs.
    size_t (*forward_scratch)(const AttentionForward&);
    size_t (*backward_scratch)(const AttentionBackward&);
    void (*forward)(const AttentionForward&, float* scratch);
    void (*backward)(const AttentionBackward&, float* scratch);
};

extern const AttentionKernel attention_portable;
#if defined(__x86_64__)
extern const AttentionKernel attention_avx2;
extern const AttentionKernel attention_avx512;
#endif
