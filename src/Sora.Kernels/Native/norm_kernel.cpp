// The kernel of norm_kernel.h. This file is compiled once for each instruction set (KERNEL names the result).

#include "norm_kernel.h"
#include "softmax.h"
#include "vector.h"

namespace {

constexpr int64_t MostPlaces = 256;  // a kilobyte of each channel: all of 384 channels stay in a second cache

inline Vector silu(Vector y) {
    Vector power = y * -Log2E;
    Vector most = broadcast(126.0f);
    return y / (1.0f + exp2(power > most ? most : power));
}

void activate(const NormBlock& p) {
    alignas(64) float scale[MostPlaces + Lanes] = {};
    int64_t whole = p.count / Lanes * Lanes;
    for (int64_t c = 0; c < p.channels; c++) {
        const float* x = p.input + c * p.input_channel;
        for (int64_t i = 0; i < whole; i += Lanes) {
            Vector value = load(x + i);
            store(scale + i, load(scale + i) + value * value);
        }
        for (int64_t i = whole; i < p.count; i++) scale[i] += x[i] * x[i];
    }
    for (int64_t i = 0; i < p.count; i++) scale[i] = 1 / __builtin_sqrtf(scale[i] > 1e-24f ? scale[i] : 1e-24f);
    for (int64_t c = 0; c < p.channels; c++) {
        const float* x = p.input + c * p.input_channel;
        float* y = p.output + c * p.output_channel;
        Vector gain = broadcast(p.gain[c]);
        for (int64_t i = 0; i < whole; i += Lanes) store(y + i, silu(load(x + i) * load(scale + i) * gain));
        if (whole == p.count) continue;
        alignas(64) float rest[Lanes] = {};
        for (int64_t i = whole; i < p.count; i++) rest[i - whole] = x[i];
        store(rest, silu(load(rest) * load(scale + whole) * gain));
        for (int64_t i = whole; i < p.count; i++) y[i] = rest[i - whole];
    }
}

}  // namespace

extern const NormKernel KERNEL(norm) = {MostPlaces, activate};
