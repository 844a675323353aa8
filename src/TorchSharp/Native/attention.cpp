// Scaled dot-product attention on the CPU: the kernel of attention_kernel.h spread over threads, with its gradient.

#include "attention.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "attention_kernel.h"
#include "cpu.h"

namespace {

const AttentionKernel& kernel() {
    static const AttentionKernel& chosen = CHOOSE_KERNEL(attention);
    return chosen;
}

// The rows [n, d] of one head of a [batch, heads, n, d] tensor whose last dimension is contiguous.
ConstRows rows_of(const at::Tensor& tensor, int64_t head) {
    int64_t heads = tensor.size(1);
    return {tensor.data_ptr<float>() + head / heads * tensor.stride(0) + head % heads * tensor.stride(1),
            tensor.stride(2)};
}

Rows writable(const at::Tensor& tensor, int64_t head) {
    ConstRows rows = rows_of(tensor, head);
    return {const_cast<float*>(rows.data), rows.stride};
}

AttentionForward problem(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    AttentionForward p{};
    p.queries = q.size(2);
    p.keys = k.size(2);
    p.dim = q.size(3);
    p.value_dim = v.size(3);
    p.scale = 1 / std::sqrt(static_cast<float>(p.dim));
    return p;
}

at::Tensor with_dense_rows(const at::Tensor& tensor) {
    return tensor.stride(3) == 1 ? tensor : tensor.contiguous();
}

std::pair<at::Tensor, at::Tensor> forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    constexpr int64_t Block = 72;  // queries that one thread takes at least
    int64_t heads = q.size(0) * q.size(1);
    int64_t queries = q.size(2);
    // In memory the result is ordered as the queries are: heads that were split off a row are rows again at no cost.
    bool split = q.stride(1) < q.stride(2);
    at::Tensor out = split ? at::empty({q.size(0), queries, q.size(1), v.size(3)}, q.options()).transpose(1, 2)
                           : at::empty({q.size(0), q.size(1), queries, v.size(3)}, q.options());
    at::Tensor log_sum = at::empty({heads, queries}, q.options());
    int64_t blocks = (queries + Block - 1) / Block;
    at::parallel_for(0, heads * blocks, 1, [&](int64_t begin, int64_t end) {
        AttentionForward p = problem(q, k, v);
        Buffer scratch(kernel().forward_scratch(p));
        while (begin < end) {
            int64_t head = begin / blocks;
            int64_t first = begin % blocks * Block;
            int64_t stop = std::min(end, (head + 1) * blocks);
            p.q = rows_of(q, head);
            p.q.data += first * p.q.stride;
            p.k = rows_of(k, head);
            p.v = rows_of(v, head);
            p.out = writable(out, head);
            p.out.data += first * p.out.stride;
            p.log_sum = log_sum.data_ptr<float>() + head * queries + first;
            p.queries = std::min((stop - head * blocks) * Block, queries) - first;
            kernel().forward(p, scratch.data);
            begin = stop;
        }
    });
    return {out, log_sum};
}

struct Attention : torch::autograd::Function<Attention> {
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v) {
        auto [out, log_sum] = ::forward(q, k, v);
        context->save_for_backward({q, k, v, out, log_sum});
        return out;
    }

    static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::tensor_list grads) {
        TORCH_CHECK(!at::GradMode::is_enabled(), "attention: no gradient of the gradient (create_graph)");
        auto saved = context->get_saved_variables();
        const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3], &log_sum = saved[4];
        at::Tensor grad = with_dense_rows(grads[0]);
        at::Tensor q_grad = at::empty(q.sizes(), q.options());
        at::Tensor k_grad = at::empty(k.sizes(), k.options());
        at::Tensor v_grad = at::empty(v.sizes(), v.options());
        at::parallel_for(0, q.size(0) * q.size(1), 1, [&](int64_t begin, int64_t end) {
            AttentionForward shape = problem(q, k, v);
            AttentionBackward p{};
            p.queries = shape.queries;
            p.keys = shape.keys;
            p.dim = shape.dim;
            p.value_dim = shape.value_dim;
            p.scale = shape.scale;
            Buffer scratch(kernel().backward_scratch(p));
            for (int64_t head = begin; head < end; head++) {
                p.q = rows_of(q, head);
                p.k = rows_of(k, head);
                p.v = rows_of(v, head);
                p.out = rows_of(out, head);
                p.grad = rows_of(grad, head);
                p.log_sum = log_sum.data_ptr<float>() + head * p.queries;
                p.q_grad = writable(q_grad, head);
                p.k_grad = writable(k_grad, head);
                p.v_grad = writable(v_grad, head);
                kernel().backward(p, scratch.data);
            }
        });
        return {q_grad, k_grad, v_grad};
    }
};

}  // namespace

bool attention_applies(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    for (const at::Tensor& tensor : {q, k, v}) {
        if (!tensor.is_cpu() || tensor.scalar_type() != at::kFloat || tensor.dim() != 4) return false;
        if (tensor.numel() == 0 || tensor.size(0) != q.size(0) || tensor.size(1) != q.size(1)) return false;
    }
    return q.size(3) == k.size(3) && k.size(2) == v.size(2);
}

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    return Attention::apply(with_dense_rows(q), with_dense_rows(k), with_dense_rows(v));
}
