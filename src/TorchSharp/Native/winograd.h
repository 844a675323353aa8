#pragma once

#include <ATen/core/Tensor.h>

#include "convolution_kernel.h"

// Whether winograd() can take these sizes, and is the faster way.
bool winograd_pays(at::IntArrayRef input, at::IntArrayRef weight, at::IntArrayRef padding);

// Convolution of contiguous `input` into contiguous `output`; `sizes` are those of the weights as they are used.
void winograd(const at::Tensor& input, const ConvolutionWeights& weight, at::IntArrayRef sizes, const at::Tensor& bias,
              at::IntArrayRef padding, const at::Tensor& output);
