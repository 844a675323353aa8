// SiLU of a norm over channels: the kernel of norm_kernel.h spread over threads.

#include "norm_kernel.h"

#include <algorithm>

#include "cpu.h"
#include "kernels.h"

// Of [B, C, T, H, W] tensors of one size, each plane of which is dense; `gain` has a number for each channel.
EXPORT void sora_norm_silu(const View* input, const float* gain, const View* output) {
    static const NormKernel& kernel = CHOOSE_KERNEL(norm);
    int64_t frames = input->sizes[2], plane = input->sizes[3] * input->sizes[4];
    int64_t blocks = (plane + kernel.most_places - 1) / kernel.most_places;
    parallel_for(input->sizes[0] * frames * blocks, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            int64_t block = i % blocks, frame = i / blocks % frames, clip = i / blocks / frames;
            int64_t first = block * kernel.most_places;
            NormBlock p{};
            p.input = input->data + clip * input->strides[0] + frame * input->strides[2] + first;
            p.input_channel = input->strides[1];
            p.output = output->data + clip * output->strides[0] + frame * output->strides[2] + first;
            p.output_channel = output->strides[1];
            p.gain = gain;
            p.channels = input->sizes[1];
            p.count = std::min(kernel.most_places, plane - first);
            kernel.activate(p);
        }
    });
}

// Has this thread take results below float's normal range for zero; returns the mode before, for sora_set_mode().
EXPORT unsigned sora_flush_subnormals() {
#if defined(__x86_64__)
    constexpr unsigned FlushToZero = 0x8000, DenormalsAreZero = 0x40;
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | FlushToZero | DenormalsAreZero);
    return before;
#else
    return 0;
#endif
}

EXPORT void sora_set_mode(unsigned mode) {
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr(mode);
#endif
}
