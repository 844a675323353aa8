#pragma once

#include <ATen/core/Tensor.h>

// Whether attention() can take these: float32 [batch, heads, n, d] tensors on the CPU.
bool attention_applies(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

// softmax(q k' / sqrt(d)) v without a matrix of all scores, forward and backward.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);
