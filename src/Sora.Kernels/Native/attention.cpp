// Scaled dot-product attention: the kernel of attention_kernel.h spread over threads, forward and backward.

#include "attention_bf16_kernel.h"
#include "attention_kernel.h"

#include <algorithm>
#include <cmath>

#include "cpu.h"
#include "kernels.h"

namespace {

const AttentionKernel& kernel() {
    static const AttentionKernel& chosen = CHOOSE_KERNEL(attention);
    return chosen;
}

// The rows [n, d] of one head of a [batch, heads, n, d] tensor whose last dimension is contiguous.
Rows rows_of(const View& tensor, int64_t head) {
    int64_t heads = tensor.sizes[1];
    return {tensor.data + head / heads * tensor.strides[0] + head % heads * tensor.strides[1], tensor.strides[2]};
}

ConstRows const_rows_of(const View& tensor, int64_t head) {
    Rows rows = rows_of(tensor, head);
    return {rows.data, rows.stride};
}

AttentionForward problem(const View& q, const View& k, const View& v) {
    AttentionForward p{};
    p.queries = q.sizes[2];
    p.keys = k.sizes[2];
    p.dim = q.sizes[3];
    p.value_dim = v.sizes[3];
    p.scale = 1 / std::sqrt(static_cast<float>(p.dim));
    return p;
}

}  // namespace

// softmax(q k' / sqrt(d)) v of [batch, heads, n, d] tensors without a matrix of all scores; log_sum [batch, heads, queries]
// is kept for the backward pass.
EXPORT int sora_attention(const View* q, const View* k, const View* v, const View* out, float* log_sum) {
    constexpr int64_t Block = 72;  // queries that one thread takes at least
    int64_t heads = q->sizes[0] * q->sizes[1];
    int64_t queries = q->sizes[2];
    int64_t blocks = (queries + Block - 1) / Block;
    Failed failed{false};
    parallel_for(heads * blocks, [&](int64_t begin, int64_t end) {
        AttentionForward p = problem(*q, *k, *v);
        Buffer scratch(kernel().forward_scratch(p));
        if (scratch.data == nullptr) failed = true;
        while (begin < end && !failed) {
            int64_t head = begin / blocks;
            int64_t first = begin % blocks * Block;
            int64_t stop = std::min(end, (head + 1) * blocks);
            p.q = const_rows_of(*q, head);
            p.q.data += first * p.q.stride;
            p.k = const_rows_of(*k, head);
            p.v = const_rows_of(*v, head);
            p.out = rows_of(*out, head);
            p.out.data += first * p.out.stride;
            p.log_sum = log_sum + head * queries + first;
            p.queries = std::min((stop - head * blocks) * Block, queries) - first;
            kernel().forward(p, scratch.data);
            begin = stop;
        }
    });
    return failed;
}

// The gradients of the above.
EXPORT int sora_attention_backward(const View* q, const View* k, const View* v, const View* out, const float* log_sum,
                                   const View* grad, const View* q_grad, const View* k_grad, const View* v_grad) {
    Failed failed{false};
    parallel_for(q->sizes[0] * q->sizes[1], [&](int64_t begin, int64_t end) {
        AttentionForward shape = problem(*q, *k, *v);
        AttentionBackward p{};
        p.queries = shape.queries;
        p.keys = shape.keys;
        p.dim = shape.dim;
        p.value_dim = shape.value_dim;
        p.scale = shape.scale;
        Buffer scratch(kernel().backward_scratch(p));
        if (scratch.data == nullptr) failed = true;
        for (int64_t head = begin; head < end && !failed; head++) {
            p.q = const_rows_of(*q, head);
            p.k = const_rows_of(*k, head);
            p.v = const_rows_of(*v, head);
            p.out = const_rows_of(*out, head);
            p.grad = const_rows_of(*grad, head);
            p.log_sum = log_sum + head * p.queries;
            p.q_grad = rows_of(*q_grad, head);
            p.k_grad = rows_of(*k_grad, head);
            p.v_grad = rows_of(*v_grad, head);
            kernel().backward(p, scratch.data);
        }
    });
    return failed;
}

// Whether sora_attention_bf16() can compute here.
EXPORT int sora_attention_bf16_works() {
#if defined(HAS_BF16)
    return instruction_set() == InstructionSet::Avx512 && __builtin_cpu_supports("avx512bf16");
#else
    return 0;
#endif
}

// sora_attention() of bfloat16 tensors, whose rows have an even length and lie at even distances.
EXPORT int sora_attention_bf16(const View* q, const View* k, const View* v, const View* out) {
#if defined(HAS_BF16)
    constexpr int64_t Block = 72;
    int64_t heads = q->sizes[1], queries = q->sizes[2];
    int64_t blocks = (queries + Block - 1) / Block;
    Failed failed{false};
    auto rows_of = [heads](const View& tensor, int64_t head, int64_t first) {
        uint16_t* data = reinterpret_cast<uint16_t*>(tensor.data);
        return HalfRows{data + head / heads * tensor.strides[0] + head % heads * tensor.strides[1] + first * tensor.strides[2],
                        tensor.strides[2]};
    };
    parallel_for(q->sizes[0] * heads * blocks, [&](int64_t begin, int64_t end) {
        HalfAttention p{};
        p.queries = queries;
        p.keys = k->sizes[2];
        p.dim = q->sizes[3];
        p.value_dim = v->sizes[3];
        p.scale = 1 / std::sqrt(static_cast<float>(p.dim));
        Buffer scratch(half_attention_avx512.scratch(p));
        if (scratch.data == nullptr) failed = true;
        while (begin < end && !failed) {
            int64_t head = begin / blocks;
            int64_t first = begin % blocks * Block;
            int64_t stop = std::min(end, (head + 1) * blocks);
            p.q = rows_of(*q, head, first);
            p.k = rows_of(*k, head, 0);
            p.v = rows_of(*v, head, 0);
            p.out = rows_of(*out, head, first);
            p.queries = std::min((stop - head * blocks) * Block, queries) - first;
            half_attention_avx512.run(p, scratch.data);
            begin = stop;
        }
    });
    return failed;
#else
    return 1;
#endif
}
