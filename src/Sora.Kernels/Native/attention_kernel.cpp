// The kernel of attention_kernel.h: a register-blocked matrix product over packed panels, and the online softmax of
// Milakov and Gimelshein (https://arxiv.org/abs/1805.02867) around it as in FlashAttention
// (https://arxiv.org/abs/2205.14135).
//
// This file is compiled once for each instruction set (KERNEL names the result).

#include "attention_kernel.h"
#include "softmax.h"
#include "vector.h"

namespace {

// All are multiples of TileRows and of Panel where they need to be.
constexpr int QueryBlock = 72;
constexpr int KeyBlock = 192;
constexpr int QueryChunk = 16 * QueryBlock;  // queries that share one packing of the keys

// A right-hand matrix in panels of Panel columns, each [height, Panel], padded with zeros on the right.
struct Packed {
    const float* data;
    int64_t height;
};

// c[rows, columns] (+)= a[rows, depth] b[depth, columns]; rows round up to TileRows and columns to Lanes.
template <bool Accumulate>
void multiply(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_row, int64_t a_column, Packed b,
              float* c, int64_t c_row) {
    for (int64_t j = 0; j < columns; j += Panel) {
        const float* panel = b.data + j * b.height;
        for (int64_t i = 0; i < rows; i += TileRows) {
            const float* left = a + i * a_row;
            float* target = c + i * c_row + j;
            if (columns - j > 2 * Lanes)
                tile<TileRows, TileVectors, Accumulate>(depth, left, a_row, a_column, panel, target, c_row);
            else if (columns - j > Lanes)
                tile<TileRows, 2, Accumulate>(depth, left, a_row, a_column, panel, target, c_row);
            else
                tile<TileRows, 1, Accumulate>(depth, left, a_row, a_column, panel, target, c_row);
        }
    }
}

// Packs rows as they are: depth runs over the rows.
Packed pack(ConstRows from, int64_t rows, int64_t columns, int64_t height, float* to) {
    for (int64_t j = 0; j < columns; j += Panel) {
        float* panel = to + j * height;
        int64_t width = smaller(Panel, columns - j);
        for (int64_t i = 0; i < rows; i++) {
            const float* source = from.data + i * from.stride + j;
            float* target = panel + i * Panel;
            if (width == Panel) {
                for (int k = 0; k < Panel; k += Lanes) store(target + k, load(source + k));
            } else {
                for (int64_t k = 0; k < Panel; k++) target[k] = k < width ? source[k] : 0;
            }
        }
    }
    return {to, height};
}

// Packs the transpose: depth runs over the columns.
Packed pack_transposed(ConstRows from, int64_t rows, int64_t columns, float* to) {
    for (int64_t i = 0; i < rows; i += Panel) {
        float* panel = to + i * columns;
        int64_t width = smaller(Panel, rows - i);
        for (int64_t k = 0; k < Panel; k++) {
            if (k < width) {
                const float* source = from.data + (i + k) * from.stride;
                for (int64_t j = 0; j < columns; j++) panel[j * Panel + k] = source[j];
            } else {
                for (int64_t j = 0; j < columns; j++) panel[j * Panel + k] = 0;
            }
        }
    }
    return {to, columns};
}

// Copies rows without gaps, times a factor, and zeros up to `padded` rows.
void gather(ConstRows from, int64_t rows, int64_t columns, int64_t padded, float factor, float* to) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[i * columns + j] = from.data[i * from.stride + j] * factor;
    for (int64_t i = rows * columns; i < padded * columns; i++) to[i] = 0;
}

struct ForwardParts {
    int64_t rows;
    float *keys, *values, *queries, *out, *scores, *most, *sum, *change;

    ForwardParts(const AttentionForward& p, Scratch& scratch)
        : rows(smaller(QueryChunk, round_up(p.queries, QueryBlock))),
          keys(scratch.take(KeyBlock * p.dim)),
          values(scratch.take(KeyBlock * round_up(p.value_dim, Panel))),
          queries(scratch.take(rows * p.dim)),
          out(scratch.take(rows * round_up(p.value_dim, Lanes))),
          scores(scratch.take(QueryBlock * KeyBlock)),
          most(scratch.take(rows)),
          sum(scratch.take(rows)),
          change(scratch.take(round_up(QueryBlock, Lanes))) {}
};

size_t forward_scratch(const AttentionForward& p) {
    Scratch scratch{nullptr, 0};
    ForwardParts parts(p, scratch);
    return scratch.used;
}

// Turns a block of scores (in powers of two) into weights relative to each row's greatest score so far, and rescales
// what was summed before under a smaller one.
void soften(float* scores, int64_t rows, int64_t keys, float* most, float* sum, float* change, float* out,
            int64_t out_row) {
    int64_t padded = round_up(keys, Lanes);
    for (int64_t i = 0; i < rows; i++) {
        float* row = scores + i * KeyBlock;
        for (int64_t j = keys; j < padded; j++) row[j] = -Infinity;
        Vector peak = load(row);
        for (int64_t j = Lanes; j < padded; j += Lanes) {
            Vector value = load(row + j);
            peak = value > peak ? value : peak;
        }
        float top = horizontal_max(peak);
        float now = top > most[i] ? top : most[i];
        change[i] = most[i] - now;
        most[i] = now;
    }
    for (int64_t i = 0; i < rows; i += Lanes) store(change + i, exp2(load(change + i)));
    for (int64_t i = 0; i < rows; i++) {
        float* row = scores + i * KeyBlock;
        Vector total{};
        Vector peak = broadcast(most[i]);
        for (int64_t j = 0; j < padded; j += Lanes) {
            Vector weight = exp2(load(row + j) - peak);
            store(row + j, weight);
            total += weight;
        }
        sum[i] = sum[i] * change[i] + horizontal_sum(total);
        if (change[i] == 1) continue;
        Vector factor = broadcast(change[i]);
        for (int64_t j = 0; j < out_row; j += Lanes) store(out + i * out_row + j, load(out + i * out_row + j) * factor);
    }
}

void forward(const AttentionForward& p, float* memory) {
    Scratch scratch{memory, 0};
    ForwardParts parts(p, scratch);
    int64_t out_row = round_up(p.value_dim, Lanes);
    for (int64_t first = 0; first < p.queries; first += QueryChunk) {
        int64_t rows = smaller(QueryChunk, p.queries - first);
        int64_t padded = round_up(rows, TileRows);
        gather({p.q.data + first * p.q.stride, p.q.stride}, rows, p.dim, padded, p.scale * Log2E, parts.queries);
        for (int64_t i = 0; i < padded * out_row; i++) parts.out[i] = 0;
        for (int64_t i = 0; i < padded; i++) {
            parts.most[i] = -Infinity;
            parts.sum[i] = 0;
        }
        for (int64_t start = 0; start < p.keys; start += KeyBlock) {
            int64_t keys = smaller(KeyBlock, p.keys - start);
            Packed k = pack_transposed({p.k.data + start * p.k.stride, p.k.stride}, keys, p.dim, parts.keys);
            Packed v = pack({p.v.data + start * p.v.stride, p.v.stride}, keys, p.value_dim, KeyBlock, parts.values);
            for (int64_t i = 0; i < padded; i += QueryBlock) {
                int64_t block = smaller(QueryBlock, padded - i);
                float* out = parts.out + i * out_row;
                multiply<false>(block, keys, p.dim, parts.queries + i * p.dim, p.dim, 1, k, parts.scores, KeyBlock);
                soften(parts.scores, block, keys, parts.most + i, parts.sum + i, parts.change, out, out_row);
                multiply<true>(block, p.value_dim, keys, parts.scores, KeyBlock, 1, v, out, out_row);
            }
        }
        for (int64_t i = 0; i < rows; i++) {
            float inverse = 1 / parts.sum[i];
            float* target = p.out.data + (first + i) * p.out.stride;
            for (int64_t j = 0; j < p.value_dim; j++) target[j] = parts.out[i * out_row + j] * inverse;
            p.log_sum[first + i] = parts.most[i] + __builtin_log2f(parts.sum[i]);
        }
    }
}

struct BackwardParts {
    int64_t rows, dim, value_dim;
    float *queries, *grads, *packed_queries, *packed_grads, *q_grad, *delta, *log_sum;
    float *keys_transposed, *values_transposed, *keys, *k_grad, *v_grad, *weights, *changes;

    BackwardParts(const AttentionBackward& p, Scratch& scratch)
        : rows(round_up(p.queries, QueryBlock)),
          dim(round_up(p.dim, Panel)),
          value_dim(round_up(p.value_dim, Panel)),
          queries(scratch.take(rows * p.dim)),
          grads(scratch.take(rows * p.value_dim)),
          packed_queries(scratch.take(rows * dim)),
          packed_grads(scratch.take(rows * value_dim)),
          q_grad(scratch.take(rows * dim)),
          delta(scratch.take(rows)),
          log_sum(scratch.take(rows)),
          keys_transposed(scratch.take(KeyBlock * p.dim)),
          values_transposed(scratch.take(KeyBlock * p.value_dim)),
          keys(scratch.take(KeyBlock * dim)),
          k_grad(scratch.take(KeyBlock * dim)),
          v_grad(scratch.take(KeyBlock * value_dim)),
          weights(scratch.take(QueryBlock * KeyBlock)),
          changes(scratch.take(QueryBlock * KeyBlock)) {}
};

size_t backward_scratch(const AttentionBackward& p) {
    Scratch scratch{nullptr, 0};
    BackwardParts parts(p, scratch);
    return scratch.used;
}

// From scores to weights, and from the weights' gradients to the scores' gradients.
void differentiate(const BackwardParts& parts, int64_t first, int64_t rows, int64_t keys, float scale) {
    int64_t padded = round_up(keys, Lanes);
    for (int64_t i = 0; i < rows; i++) {
        float* weights = parts.weights + i * KeyBlock;
        float* changes = parts.changes + i * KeyBlock;
        Vector log_sum = broadcast(parts.log_sum[first + i]);
        Vector delta = broadcast(parts.delta[first + i]);
        for (int64_t j = 0; j < padded; j += Lanes) {
            Vector weight = exp2(load(weights + j) - log_sum);
            store(weights + j, weight);
            store(changes + j, weight * (load(changes + j) - delta) * scale);
        }
    }
}

void scatter(const float* from, int64_t from_row, int64_t rows, int64_t columns, Rows to) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to.data[i * to.stride + j] = from[i * from_row + j];
}

void backward(const AttentionBackward& p, float* memory) {
    Scratch scratch{memory, 0};
    BackwardParts parts(p, scratch);
    gather(p.q, p.queries, p.dim, parts.rows, p.scale * Log2E, parts.queries);
    gather(p.grad, p.queries, p.value_dim, parts.rows, 1, parts.grads);
    for (int64_t i = 0; i < parts.rows; i += QueryBlock) {
        int64_t rows = smaller(QueryBlock, p.queries - i);
        pack({p.q.data + i * p.q.stride, p.q.stride}, rows, p.dim, QueryBlock, parts.packed_queries + i * parts.dim);
        pack({p.grad.data + i * p.grad.stride, p.grad.stride}, rows, p.value_dim, QueryBlock,
             parts.packed_grads + i * parts.value_dim);
    }
    for (int64_t i = 0; i < parts.rows; i++) {
        float sum = 0;
        if (i < p.queries) {
            const float* grad = p.grad.data + i * p.grad.stride;
            const float* out = p.out.data + i * p.out.stride;
            for (int64_t j = 0; j < p.value_dim; j++) sum += grad[j] * out[j];
        }
        parts.delta[i] = sum;
        parts.log_sum[i] = i < p.queries ? p.log_sum[i] : 0;
    }
    for (int64_t i = 0; i < parts.rows * parts.dim; i++) parts.q_grad[i] = 0;

    for (int64_t start = 0; start < p.keys; start += KeyBlock) {
        int64_t keys = smaller(KeyBlock, p.keys - start);
        ConstRows k{p.k.data + start * p.k.stride, p.k.stride};
        ConstRows v{p.v.data + start * p.v.stride, p.v.stride};
        Packed keys_transposed = pack_transposed(k, keys, p.dim, parts.keys_transposed);
        Packed values_transposed = pack_transposed(v, keys, p.value_dim, parts.values_transposed);
        Packed key_rows = pack(k, keys, p.dim, KeyBlock, parts.keys);
        for (int64_t i = 0; i < KeyBlock * parts.dim; i++) parts.k_grad[i] = 0;
        for (int64_t i = 0; i < KeyBlock * parts.value_dim; i++) parts.v_grad[i] = 0;

        for (int64_t i = 0; i < p.queries; i += QueryBlock) {
            int64_t rows = smaller(QueryBlock, p.queries - i);
            int64_t padded = round_up(rows, TileRows);
            multiply<false>(padded, keys, p.dim, parts.queries + i * p.dim, p.dim, 1, keys_transposed, parts.weights,
                            KeyBlock);
            multiply<false>(padded, keys, p.value_dim, parts.grads + i * p.value_dim, p.value_dim, 1, values_transposed,
                            parts.changes, KeyBlock);
            differentiate(parts, i, padded, keys, p.scale);
            multiply<true>(keys, p.value_dim, rows, parts.weights, 1, KeyBlock,
                           {parts.packed_grads + i * parts.value_dim, QueryBlock}, parts.v_grad, parts.value_dim);
            multiply<true>(keys, p.dim, rows, parts.changes, 1, KeyBlock,
                           {parts.packed_queries + i * parts.dim, QueryBlock}, parts.k_grad, parts.dim);
            multiply<true>(padded, p.dim, keys, parts.changes, KeyBlock, 1, key_rows, parts.q_grad + i * parts.dim,
                           parts.dim);
        }
        scatter(parts.k_grad, parts.dim, keys, p.dim, {p.k_grad.data + start * p.k_grad.stride, p.k_grad.stride});
        scatter(parts.v_grad, parts.value_dim, keys, p.value_dim,
                {p.v_grad.data + start * p.v_grad.stride, p.v_grad.stride});
    }
    scatter(parts.q_grad, parts.dim, p.queries, p.dim, p.q_grad);
}

}  // namespace

extern const AttentionKernel KERNEL(attention) = {forward_scratch, backward_scratch, forward, backward};
