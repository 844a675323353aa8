// What kernels with exponentials share.
#pragma once

#include "vector.h"

namespace {

constexpr float Log2E = 1.44269504088896340736f;
constexpr float Infinity = __builtin_inff();

// 2^x for x < 127, to about one unit in the last place; below 2^-126 it stays there.
inline Vector exp2(Vector x) {
    constexpr float Magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
    Vector least = broadcast(-126.0f);
    x = x < least ? least : x;
    Vector shifted = x + Magic;
    Vector f = x - (shifted - Magic);
    Vector p = broadcast(1.5403530e-4f);
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    Integers exponent = (reinterpret_cast<Integers>(shifted) << 23) + 0x3f800000;
    return p * reinterpret_cast<Vector>(exponent);
}

inline float horizontal_sum(Vector v) {
    float sum = 0;
    for (int i = 0; i < Lanes; i++) sum += v[i];
    return sum;
}

inline float horizontal_max(Vector v) {
    float most = v[0];
    for (int i = 1; i < Lanes; i++) most = v[i] > most ? v[i] : most;
    return most;
}

// Hands out parts of the scratch memory, each aligned to a cache line; without memory it only counts.
struct Scratch {
    float* base;
    size_t used;

    float* take(int64_t count) {
        float* start = base == nullptr ? nullptr : base + used;
        used += static_cast<size_t>(round_up(count, 16));
        return start;
    }
};

}  // namespace
