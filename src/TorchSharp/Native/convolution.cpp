// Convolution with unit strides on the CPU: the kernel of convolution_kernel.h spread over threads, with its gradient.

#include "convolution.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "convolution_kernel.h"
#include "cpu.h"
#include "winograd.h"

namespace {

const ConvolutionKernel& kernel() {
    static const ConvolutionKernel& chosen = CHOOSE_KERNEL(convolution);
    return chosen;
}

// Sizes of time, height and width; two-dimensional tensors have one frame.
struct Extent {
    int64_t t, h, w;

    static Extent of(at::IntArrayRef sizes, int64_t absent) {
        return sizes.size() == 3 ? Extent{sizes[0], sizes[1], sizes[2]} : Extent{absent, sizes[0], sizes[1]};
    }
    int64_t volume() const { return t * h * w; }
    int64_t area() const { return h * w; }
};

// What follows from the sizes alone.
struct Plan {
    int64_t batch;
    Extent size, window, border, padded, result;
    std::vector<int64_t> result_sizes, taps;
    ConvolutionShape shape{};
    int64_t positions, blocks;  // of a frame

    Plan(at::IntArrayRef input, at::IntArrayRef weight, at::IntArrayRef padding)
        : batch(input[0]),
          size(Extent::of(input.slice(2), 1)),
          window(Extent::of(weight.slice(2), 1)),
          border(Extent::of(padding, 0)),
          padded{size.t, size.h + 2 * border.h, size.w + 2 * border.w},
          result{size.t + 2 * border.t - window.t + 1, padded.h - window.h + 1, padded.w - window.w + 1},
          result_sizes{batch, weight[0]} {
        if (input.size() == 5) result_sizes.push_back(result.t);
        result_sizes.insert(result_sizes.end(), {result.h, result.w});
        for (int64_t y = 0; y < window.h; y++)
            for (int64_t x = 0; x < window.w; x++) taps.push_back(y * padded.w + x);
        shape.in_channels = input[1];
        shape.out_channels = weight[0];
        shape.frames = window.t;
        shape.tap_count = static_cast<int64_t>(taps.size());
        shape.taps = taps.data();
        shape.plane = padded.volume();
        shape.frame = padded.area();
        shape.row = padded.w;
        shape.width = result.w;
        shape.out_plane = result.volume();
        // The last row needs no positions beyond its last column.
        positions = (result.h - 1) * padded.w + result.w;
        blocks = (positions + kernel().block_positions - 1) / kernel().block_positions;
    }
    Plan(const Plan&) = delete;

    int64_t groups() const { return (shape.in_channels + kernel().group - 1) / kernel().group; }
    size_t image_size() const { return groups() * kernel().group * padded.volume() + kernel().slack; }

    // Of the window at an output frame: the input's frame under its first, and what lies in the input.
    int64_t origin(int64_t frame) const { return frame - border.t; }
    int64_t first_frame(int64_t frame) const { return std::max<int64_t>(0, -origin(frame)); }
    int64_t last_frame(int64_t frame) const { return std::min(window.t, size.t - origin(frame)); }
    int64_t first(int64_t block) const { return block * kernel().block_positions; }
    int64_t count(int64_t block) const { return std::min(kernel().block_positions, positions - first(block)); }

    // Surrounds each plane of one image with zeros, and adds planes of zeros up to a full group.
    void pad(const float* input, float* target) const {
        at::parallel_for(0, groups() * kernel().group * size.t, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                float* to = target + i * padded.area();
                if (i >= shape.in_channels * size.t) {
                    std::fill_n(to, padded.area(), 0.0f);
                    continue;
                }
                const float* source = input + i * size.area();
                to = std::fill_n(to, border.h * padded.w, 0.0f);
                for (int64_t y = 0; y < size.h; y++, source += size.w) {
                    to = std::fill_n(to, border.w, 0.0f);
                    to = std::copy_n(source, size.w, to);
                    to = std::fill_n(to, border.w, 0.0f);
                }
                std::fill_n(to, border.h * padded.w, 0.0f);
            }
        });
        std::fill_n(target + image_size() - kernel().slack, kernel().slack, 0.0f);
    }
};

// `sizes` are those of the weights as they are used.
at::Tensor forward(const at::Tensor& input, const ConvolutionWeights& weight, at::IntArrayRef sizes, const at::Tensor& bias,
                   at::IntArrayRef padding) {
    Plan plan(input.sizes(), sizes, padding);
    at::Tensor output = at::empty(plan.result_sizes, input.options());
    if (winograd_pays(input.sizes(), sizes, padding)) {
        winograd(input, weight, sizes, bias, padding, output);
        return output;
    }
    int64_t tiles = (plan.shape.out_channels + kernel().group - 1) / kernel().group;
    int64_t tile_size = kernel().group * plan.shape.in_channels * plan.window.volume();
    Buffer weights(tiles * tile_size);
    at::parallel_for(0, tiles, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++)
            kernel().pack_weights(plan.shape, weight, i * kernel().group, weights.data + i * tile_size);
    });
    Buffer image(plan.image_size());
    for (int64_t n = 0; n < plan.batch; n++) {
        plan.pad(input.data_ptr<float>() + n * plan.shape.in_channels * plan.size.volume(), image.data);
        float* target = output.data_ptr<float>() + n * plan.shape.out_channels * plan.result.volume();
        at::parallel_for(0, plan.result.t * plan.blocks, 1, [&](int64_t begin, int64_t end) {
            ConvolutionBlock p{};
            p.weights = weights.data;
            p.bias = bias.defined() ? bias.data_ptr<float>() : nullptr;
            Buffer scratch(kernel().scratch(plan.shape));
            for (int64_t i = begin; i < end; i++) {
                int64_t frame = i / plan.blocks, block = i % plan.blocks;
                p.input = image.data + plan.origin(frame) * plan.shape.frame;
                p.first_frame = plan.first_frame(frame);
                p.last_frame = plan.last_frame(frame);
                p.first = plan.first(block);
                p.count = plan.count(block);
                p.output = target + frame * plan.result.area();
                kernel().convolve(plan.shape, p, scratch.data);
            }
        });
    }
    return output;
}

at::Tensor weight_gradient(const at::Tensor& input, const at::Tensor& grad, at::IntArrayRef sizes, at::IntArrayRef padding) {
    Plan plan(input.sizes(), sizes, padding);
    const ConvolutionShape& shape = plan.shape;
    int64_t columns = (shape.out_channels + kernel().panel - 1) / kernel().panel * kernel().panel;
    int64_t units = shape.frames * plan.groups() * shape.tap_count;
    int64_t block_size = columns * kernel().block_positions;
    Buffer image(plan.image_size());
    Buffer packed(plan.result.t * plan.blocks * block_size);
    Buffer sums(units * kernel().group * columns);
    std::fill_n(sums.data, units * kernel().group * columns, 0.0f);
    for (int64_t n = 0; n < plan.batch; n++) {
        plan.pad(input.data_ptr<float>() + n * shape.in_channels * plan.size.volume(), image.data);
        const float* source = grad.data_ptr<float>() + n * shape.out_channels * plan.result.volume();
        at::parallel_for(0, plan.result.t * plan.blocks, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++)
                kernel().pack_gradient(shape, source + i / plan.blocks * plan.result.area(), plan.first(i % plan.blocks),
                                       plan.count(i % plan.blocks), packed.data + i * block_size);
        });
        at::parallel_for(0, units, 1, [&](int64_t begin, int64_t end) {
            ConvolutionGradientBlock p{};
            p.first_unit = begin;
            p.last_unit = end;
            p.gradient = sums.data;
            for (int64_t i = 0; i < plan.result.t * plan.blocks; i++) {
                int64_t frame = i / plan.blocks, block = i % plan.blocks;
                p.input = image.data + plan.origin(frame) * shape.frame;
                p.first_frame = plan.first_frame(frame);
                p.last_frame = plan.last_frame(frame);
                p.first = plan.first(block);
                p.count = plan.count(block);
                p.packed = packed.data + i * block_size;
                kernel().accumulate(shape, p);
            }
        });
    }
    at::Tensor result = at::empty(sizes, input.options());
    float* target = result.data_ptr<float>();
    at::parallel_for(0, shape.in_channels, 1, [&](int64_t begin, int64_t end) {
        for (int64_t in = begin; in < end; in++)
            for (int64_t out = 0; out < shape.out_channels; out++) {
                float* to = target + (out * shape.in_channels + in) * shape.frames * shape.tap_count;
                for (int64_t frame = 0; frame < shape.frames; frame++)
                    for (int64_t tap = 0; tap < shape.tap_count; tap++) {
                        int64_t unit = (frame * plan.groups() + in / kernel().group) * shape.tap_count + tap;
                        *to++ = sums.data[(unit * kernel().group + in % kernel().group) * columns + out];
                    }
            }
    });
    return result;
}

struct Convolution : torch::autograd::Function<Convolution> {
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                              const at::Tensor& weight, const c10::optional<at::Tensor>& bias,
                              std::vector<int64_t> padding) {
        context->save_for_backward({input, weight});
        context->saved_data["bias"] = bias.has_value();
        context->saved_data["padding"] = padding;
        at::Tensor dense = weight.contiguous();
        ConvolutionWeights plain{dense.data_ptr<float>(), dense.stride(0), dense.stride(1), false};
        return ::forward(input.contiguous(), plain, dense.sizes(), bias.has_value() ? bias->contiguous() : at::Tensor(), padding);
    }

    static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::tensor_list grads) {
        auto saved = context->get_saved_variables();
        at::Tensor input = saved[0], weight = saved[1], grad = grads[0].contiguous();
        bool has_bias = context->saved_data["bias"].toBool();
        std::vector<int64_t> padding = context->saved_data["padding"].toIntVector();
        bool wants_input = context->needs_input_grad(0), wants_weight = context->needs_input_grad(1);
        bool wants_bias = has_bias && context->needs_input_grad(2);

        if (at::GradMode::is_enabled()) {
            // For a gradient of the gradient libtorch's own operator takes over.
            std::vector<int64_t> ones(padding.size(), 1), zeros(padding.size(), 0);
            auto [a, b, c] = at::convolution_backward(
                grad, input, weight, has_bias ? at::OptionalIntArrayRef(weight.sizes().slice(0, 1)) : at::OptionalIntArrayRef(),
                ones, padding, ones, false, zeros, 1, {wants_input, wants_weight, wants_bias});
            return {a, b, c, {}};
        }

        at::Tensor input_grad, weight_grad, bias_grad;
        if (wants_input) {
            // A convolution again, with the weights mirrored and their channels exchanged.
            at::Tensor dense = weight.contiguous();
            ConvolutionWeights mirrored{dense.data_ptr<float>(), dense.stride(1), dense.stride(0), true};
            std::vector<int64_t> around, sizes = dense.sizes().vec();
            std::swap(sizes[0], sizes[1]);
            for (size_t i = 0; i < padding.size(); i++) around.push_back(sizes[i + 2] - 1 - padding[i]);
            input_grad = ::forward(grad, mirrored, sizes, {}, around);
        }
        if (wants_weight) weight_grad = weight_gradient(input.contiguous(), grad, weight.sizes(), padding);
        if (wants_bias) bias_grad = grad.flatten(2).sum(at::IntArrayRef{0, 2});
        return {input_grad, weight_grad, bias_grad, {}};
    }
};

}  // namespace

bool convolution_applies(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                         at::IntArrayRef padding) {
    for (const at::Tensor& tensor : {input, weight, bias}) {
        if (tensor.defined() && (!tensor.is_cpu() || tensor.scalar_type() != at::kFloat || tensor.layout() != at::kStrided))
            return false;
    }
    if (input.dim() != weight.dim() || input.dim() < 4 || input.dim() > 5 || input.numel() == 0) return false;
    if (input.size(1) != weight.size(1) || static_cast<int64_t>(padding.size()) != input.dim() - 2) return false;
    if (bias.defined() && (bias.dim() != 1 || bias.size(0) != weight.size(0))) return false;
    for (int64_t i = 2; i < input.dim(); i++) {
        int64_t window = weight.size(i), border = padding[i - 2];
        if (border < 0 || border >= window || input.size(i) + 2 * border < window) return false;
    }
    bool is_wide = std::max(input.size(1), weight.size(0)) > kernel().most_channels;
    bool trains = at::GradMode::is_enabled() && (input.requires_grad() || weight.requires_grad());
    if (is_wide && (trains || !winograd_pays(input.sizes(), weight.sizes(), padding))) return false;
    // Narrow images waste too much of each padded row, and single taps are a plain matrix product.
    return input.size(-1) >= 12 && weight.size(-1) > 1;
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                       at::IntArrayRef padding) {
    auto given = bias.defined() ? c10::optional<at::Tensor>(bias) : c10::nullopt;
    return Convolution::apply(input, weight, given, padding.vec());
}
