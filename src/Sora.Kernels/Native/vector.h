// Vectors as wide as the instruction set that a kernel is compiled for.
//
// Kernels are compiled several times, once for each instruction set, and chosen at run time. So neither this file nor
// they include a header with inline code, lest the linker pick a copy of such code that other processors cannot run;
// and all here has internal linkage.
#pragma once

#include <cstddef>
#include <cstdint>

#define KERNEL_NAME(base, set) base##_##set
#define KERNEL_OF(base, set) KERNEL_NAME(base, set)
#define KERNEL(base) KERNEL_OF(base, INSTRUCTION_SET)

namespace {

// A matrix product holds a tile of TileRows by TileVectors vectors of sums in registers.
#if defined(__AVX512F__)
constexpr int Lanes = 16, TileRows = 8, TileVectors = 3;
#elif defined(__AVX2__)
constexpr int Lanes = 8, TileRows = 6, TileVectors = 2;
#else
constexpr int Lanes = 4, TileRows = 6, TileVectors = 2;
#endif
constexpr int Panel = TileVectors * Lanes;  // columns of a packed panel

typedef float Vector __attribute__((vector_size(4 * Lanes)));
typedef int32_t Integers __attribute__((vector_size(4 * Lanes)));
typedef float Unaligned __attribute__((vector_size(4 * Lanes), aligned(4), may_alias));

constexpr int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
// Subtracting zero (unlike adding it) compiles to nothing but the broadcast.
inline Vector broadcast(float value) { return value - Vector{}; }
inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }

// c[Rows, Vectors * Lanes] (+)= a[Rows, depth] panel[depth, Panel], with all sums in registers; a's element (i, k) lies at
// i * row + k * column.
template <int Rows, int Vectors, bool Accumulate>
void tile(int64_t depth, const float* a, int64_t row, int64_t column, const float* panel, float* c, int64_t c_row) {
    Vector sum[Rows][Vectors];
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < Vectors; j++) sum[i][j] = Accumulate ? load(c + i * c_row + j * Lanes) : Vector{};
    for (int64_t k = 0; k < depth; k++) {
        Vector b[Vectors];
#pragma GCC unroll 3
        for (int j = 0; j < Vectors; j++) b[j] = load(panel + k * Panel + j * Lanes);
#pragma GCC unroll 8
        for (int i = 0; i < Rows; i++) {
            Vector value = broadcast(a[i * row + k * column]);
#pragma GCC unroll 3
            for (int j = 0; j < Vectors; j++) sum[i][j] += value * b[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < Vectors; j++) store(c + i * c_row + j * Lanes, sum[i][j]);
}

}  // namespace
