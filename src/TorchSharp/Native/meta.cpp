// Shapes without values: kernels of the meta device for the operators that libtorch 1.13 has none for and a transformer
// uses. Later versions have them all.

#include <torch/version.h>

#if TORCH_VERSION_MAJOR < 2

#include <ATen/ExpandUtils.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

namespace {

// As the other meta kernels: numbers of the host may take part, tensors of another device may not.
void same_device(const at::Tensor& self, const at::Tensor& other) {
    TORCH_CHECK(self.device() == other.device() || other.dim() == 0 || self.dim() == 0,
        "Expected all tensors to be on the same device, but found ", self.device(), " and ", other.device());
}

at::Tensor shaped(at::IntArrayRef sizes, c10::ScalarType type) {
    return at::empty(sizes, at::TensorOptions().dtype(type).device(c10::kMeta));
}

at::Tensor where(const at::Tensor& condition, const at::Tensor& self, const at::Tensor& other) {
    same_device(condition, self);
    same_device(condition, other);
    auto sizes = at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes());
    return shaped(sizes, c10::promoteTypes(self.scalar_type(), other.scalar_type()));
}

at::Tensor index_select(const at::Tensor& self, int64_t dim, const at::Tensor& index) {
    same_device(self, index);
    auto sizes = self.sizes().vec();
    sizes.at(c10::maybe_wrap_dim(dim, self.dim())) = index.numel();
    return shaped(sizes, self.scalar_type());
}

at::Tensor& complex_out(const at::Tensor& real, const at::Tensor& imaginary, at::Tensor& out) {
    same_device(real, imaginary);
    out.resize_(at::infer_size(real.sizes(), imaginary.sizes()));
    return out;
}

std::tuple<at::Tensor, at::Tensor> max_pool3d(const at::Tensor& self, at::IntArrayRef kernel, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool ceil) {
    TORCH_CHECK(!ceil, "rounding up is not covered");
    auto sizes = self.sizes().vec();
    // One number stands for three.
    auto of = [](at::IntArrayRef numbers, size_t i) { return numbers[numbers.size() == 1 ? 0 : i]; };
    for (size_t i = 0; i < 3; i++) {
        int64_t& size = sizes[sizes.size() - 3 + i];
        int64_t step = of(stride.empty() ? kernel : stride, i);
        size = (size + 2 * of(padding, i) - of(dilation, i) * (of(kernel, i) - 1) - 1) / step + 1;
    }
    return {shaped(sizes, self.scalar_type()), shaped(sizes, at::kLong)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> layer_norm(const at::Tensor& self, at::IntArrayRef normalised,
    const c10::optional<at::Tensor>& weight, const c10::optional<at::Tensor>& bias, double) {
    if (weight && weight->defined()) same_device(self, *weight);
    if (bias && bias->defined()) same_device(self, *bias);
    auto sizes = self.sizes().vec();
    for (size_t i = sizes.size() - normalised.size(); i < sizes.size(); i++) sizes[i] = 1;
    return {shaped(self.sizes(), self.scalar_type()), shaped(sizes, at::kFloat), shaped(sizes, at::kFloat)};
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, library) {
    library.impl("where.self", where);
    library.impl("index_select", index_select);
    library.impl("complex.out", complex_out);
    library.impl("max_pool3d_with_indices", max_pool3d);
    library.impl("native_layer_norm", layer_norm);
}

#endif
