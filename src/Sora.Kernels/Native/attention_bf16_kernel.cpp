// The kernel of attention_bf16_kernel.h: the blocks of attention_kernel.cpp, with matrices of pairs. The instruction for
// products takes two numbers of a row and two of a column at once, so a pair is what a number is there: two columns of queries,
// keys and weights, and two rows of values.

#include "attention_bf16_kernel.h"

#include <immintrin.h>

#include "softmax.h"
#include "vector.h"

namespace {

constexpr int QueryBlock = 72;
constexpr int KeyBlock = 192;
constexpr int QueryChunk = 16 * QueryBlock;

typedef uint32_t Pair __attribute__((may_alias, aligned(2)));
typedef uint32_t Pairs __attribute__((vector_size(4 * Lanes)));
typedef uint32_t UnalignedPairs __attribute__((vector_size(4 * Lanes), aligned(2), may_alias));

inline Pairs load_pairs(const void* p) { return *static_cast<const UnalignedPairs*>(p); }
inline void store_pairs(void* p, Pairs v) { *static_cast<UnalignedPairs*>(p) = v; }

inline Vector add_products(Vector sum, Pairs a, Pairs b) {
    return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

// As tile() of vector.h: c[Rows, Vectors * Lanes] (+)= a[Rows, depth] panel[depth, Panel], depth in pairs.
template <int Rows, int Vectors, bool Accumulate>
void pair_tile(int64_t depth, const uint32_t* a, int64_t row, const uint32_t* panel, float* c, int64_t c_row) {
    Vector sum[Rows][Vectors];
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < Vectors; j++) sum[i][j] = Accumulate ? load(c + i * c_row + j * Lanes) : Vector{};
    for (int64_t k = 0; k < depth; k++) {
        Pairs b[Vectors];
#pragma GCC unroll 3
        for (int j = 0; j < Vectors; j++) b[j] = load_pairs(panel + k * Panel + j * Lanes);
#pragma GCC unroll 8
        for (int i = 0; i < Rows; i++) {
            Pairs value = a[i * row + k] - Pairs{};
#pragma GCC unroll 3
            for (int j = 0; j < Vectors; j++) sum[i][j] = add_products(sum[i][j], value, b[j]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < Rows; i++)
#pragma GCC unroll 3
        for (int j = 0; j < Vectors; j++) store(c + i * c_row + j * Lanes, sum[i][j]);
}

// c[rows, columns] (+)= a[rows, depth] b[depth, columns] with b in panels; rows round up to TileRows, columns to Lanes.
template <bool Accumulate>
void multiply(int64_t rows, int64_t columns, int64_t depth, const uint32_t* a, int64_t a_row, const uint32_t* b,
              int64_t height, float* c, int64_t c_row) {
    for (int64_t j = 0; j < columns; j += Panel) {
        const uint32_t* panel = b + j * height;
        for (int64_t i = 0; i < rows; i += TileRows) {
            const uint32_t* left = a + i * a_row;
            float* target = c + i * c_row + j;
            if (columns - j > 2 * Lanes)
                pair_tile<TileRows, TileVectors, Accumulate>(depth, left, a_row, panel, target, c_row);
            else if (columns - j > Lanes)
                pair_tile<TileRows, 2, Accumulate>(depth, left, a_row, panel, target, c_row);
            else
                pair_tile<TileRows, 1, Accumulate>(depth, left, a_row, panel, target, c_row);
        }
    }
}

// Rows without gaps, and zeros up to `padded` rows.
void gather(HalfRows from, int64_t rows, int64_t pairs, int64_t padded, uint32_t* to) {
    for (int64_t i = 0; i < rows; i++) {
        const Pair* source = reinterpret_cast<const Pair*>(from.data + i * from.stride);
        for (int64_t j = 0; j < pairs; j++) to[i * pairs + j] = source[j];
    }
    for (int64_t i = rows * pairs; i < padded * pairs; i++) to[i] = 0;
}

// Keys, transposed: panels [pairs of the row, Panel keys].
void pack_keys(HalfRows from, int64_t keys, int64_t pairs, uint32_t* to) {
    for (int64_t i = 0; i < keys; i += Panel) {
        uint32_t* panel = to + i * pairs;
        for (int64_t k = 0; k < Panel; k++) {
            const Pair* source = reinterpret_cast<const Pair*>(from.data + (i + k) * from.stride);
            for (int64_t j = 0; j < pairs; j++) panel[j * Panel + k] = i + k < keys ? source[j] : 0;
        }
    }
}

// Values: panels [pairs of rows, Panel columns].
void pack_values(HalfRows from, int64_t keys, int64_t columns, uint32_t* to) {
    constexpr int64_t Height = KeyBlock / 2;
    for (int64_t j = 0; j < columns; j += Panel) {
        uint32_t* panel = to + j * Height;
        int64_t width = smaller(Panel, columns - j);
        for (int64_t i = 0; i < Height; i++) {
            const uint16_t* first = from.data + 2 * i * from.stride + j;
            const uint16_t* second = first + from.stride;
            for (int64_t k = 0; k < width; k++) {
                uint32_t low = 2 * i < keys ? first[k] : 0, high = 2 * i + 1 < keys ? second[k] : 0;
                panel[i * Panel + k] = low | high << 16;
            }
            for (int64_t k = width; k < Panel; k++) panel[i * Panel + k] = 0;
        }
    }
}

struct Parts {
    int64_t rows;
    float *keys, *values, *queries, *out, *scores, *weights, *most, *sum, *change;

    Parts(const HalfAttention& p, Scratch& scratch)
        : rows(smaller(QueryChunk, round_up(p.queries, QueryBlock))),
          keys(scratch.take(KeyBlock * p.dim / 2)),
          values(scratch.take(KeyBlock / 2 * round_up(p.value_dim, Panel))),
          queries(scratch.take(rows * p.dim / 2)),
          out(scratch.take(rows * round_up(p.value_dim, Lanes))),
          scores(scratch.take(QueryBlock * KeyBlock)),
          weights(scratch.take(QueryBlock * KeyBlock / 2)),
          most(scratch.take(rows)),
          sum(scratch.take(rows)),
          change(scratch.take(round_up(QueryBlock, Lanes))) {}
};

size_t scratch_size(const HalfAttention& p) {
    Scratch scratch{nullptr, 0};
    Parts parts(p, scratch);
    return scratch.used;
}

// Turns a block of scores into weights relative to each row's greatest score so far, and rescales what was summed before under
// a smaller one. Scores are scaled and rounded before the greatest is taken off: large ones would not be at most zero then.
void soften(const Parts& parts, int64_t first, int64_t rows, int64_t keys, float scale, int64_t out_row) {
    int64_t padded = round_up(keys, 2 * Lanes);
    float *most = parts.most + first, *sum = parts.sum + first, *out = parts.out + first * out_row;
    for (int64_t i = 0; i < rows; i++) {
        float* row = parts.scores + i * KeyBlock;
        for (int64_t j = keys; j < padded; j++) row[j] = -Infinity;
        Vector peak = broadcast(-Infinity);
        for (int64_t j = 0; j < padded; j += Lanes) {
            Vector value = load(row + j) * scale;
            store(row + j, value);
            peak = value > peak ? value : peak;
        }
        float top = horizontal_max(peak);
        float now = top > most[i] ? top : most[i];
        parts.change[i] = most[i] - now;
        most[i] = now;
    }
    for (int64_t i = 0; i < rows; i += Lanes) store(parts.change + i, exp2(load(parts.change + i)));
    for (int64_t i = 0; i < rows; i++) {
        const float* row = parts.scores + i * KeyBlock;
        uint16_t* weights = reinterpret_cast<uint16_t*>(parts.weights) + i * KeyBlock;
        Vector total{};
        Vector peak = broadcast(most[i]);
        for (int64_t j = 0; j < padded; j += 2 * Lanes) {
            Vector low = exp2(load(row + j) - peak), high = exp2(load(row + j + Lanes) - peak);
            store_pairs(weights + j, (Pairs)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
            total += low + high;
        }
        sum[i] = sum[i] * parts.change[i] + horizontal_sum(total);
        if (parts.change[i] == 1) continue;
        Vector factor = broadcast(parts.change[i]);
        for (int64_t j = 0; j < out_row; j += Lanes) store(out + i * out_row + j, load(out + i * out_row + j) * factor);
    }
}

uint16_t rounded(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void run(const HalfAttention& p, float* memory) {
    Scratch scratch{memory, 0};
    Parts parts(p, scratch);
    uint32_t* keys = reinterpret_cast<uint32_t*>(parts.keys);
    uint32_t* values = reinterpret_cast<uint32_t*>(parts.values);
    uint32_t* queries = reinterpret_cast<uint32_t*>(parts.queries);
    const uint32_t* weights = reinterpret_cast<const uint32_t*>(parts.weights);
    int64_t out_row = round_up(p.value_dim, Lanes), pairs = p.dim / 2;
    for (int64_t first = 0; first < p.queries; first += QueryChunk) {
        int64_t rows = smaller(QueryChunk, p.queries - first);
        int64_t padded = round_up(rows, TileRows);
        gather({p.q.data + first * p.q.stride, p.q.stride}, rows, pairs, padded, queries);
        for (int64_t i = 0; i < padded * out_row; i++) parts.out[i] = 0;
        for (int64_t i = 0; i < padded; i++) {
            parts.most[i] = -Infinity;
            parts.sum[i] = 0;
        }
        for (int64_t start = 0; start < p.keys; start += KeyBlock) {
            int64_t count = smaller(KeyBlock, p.keys - start);
            pack_keys({p.k.data + start * p.k.stride, p.k.stride}, count, pairs, keys);
            pack_values({p.v.data + start * p.v.stride, p.v.stride}, count, p.value_dim, values);
            for (int64_t i = 0; i < padded; i += QueryBlock) {
                int64_t block = smaller(QueryBlock, padded - i);
                multiply<false>(block, count, pairs, queries + i * pairs, pairs, keys, pairs, parts.scores, KeyBlock);
                soften(parts, i, block, count, p.scale * Log2E, out_row);
                multiply<true>(block, p.value_dim, (count + 1) / 2, weights, KeyBlock / 2, values, KeyBlock / 2,
                               parts.out + i * out_row, out_row);
            }
        }
        for (int64_t i = 0; i < rows; i++) {
            float inverse = 1 / parts.sum[i];
            uint16_t* target = p.out.data + (first + i) * p.out.stride;
            for (int64_t j = 0; j < p.value_dim; j++) target[j] = rounded(parts.out[i * out_row + j] * inverse);
        }
    }
}

}  // namespace

extern const HalfAttentionKernel half_attention_avx512 = {scratch_size, run};
