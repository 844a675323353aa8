#pragma once

#include <ATen/core/Tensor.h>

// Whether convolution() can take these, and is the faster way.
bool convolution_applies(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                         at::IntArrayRef padding);

// Convolution in two or three dimensions with unit strides and zero padding, with its gradient.
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                       at::IntArrayRef padding);
