// The kernel of winograd_kernel.h. This file is compiled once for each instruction set (KERNEL names the result).

#include "winograd_kernel.h"
#include "vector.h"

namespace {

// The transforms evaluate polynomials at 0, A, -A, B, -B and infinity. These points lose less than the usual 1 and 2.
constexpr float A = 0.625f, B = 1.5f;
constexpr float AA = A * A, BB = B * B;
constexpr int Points = 6, Side = 4;
constexpr int Numbers = Points * Points;
constexpr int Reach = Side * Lanes;  // output pixels of a strip in a row

// Distances from one of the 36 numbers to the next; odd in cache lines, lest all 36 fall into the same set.
int64_t pad(int64_t size) { return round_up(size, 2 * Lanes) + Lanes; }
int64_t outs(const WinogradShape& s) { return round_up(s.out_channels, TileRows); }
int64_t weights_step(const WinogradShape& s) { return pad(outs(s) * s.frames * s.in_channels); }
int64_t input_step(const WinogradShape& s, int64_t out_frames) { return pad((out_frames + s.frames - 1) * s.in_channels * Panel); }
int64_t sums_step(const WinogradShape& s, int64_t out_frames) { return pad(out_frames * outs(s) * Panel); }

size_t weights_size(const WinogradShape& s) { return static_cast<size_t>(Numbers * weights_step(s)); }

size_t scratch(const WinogradShape& s, int64_t out_frames) {
    return static_cast<size_t>(Numbers * (input_step(s, out_frames) + sums_step(s, out_frames)));
}

// Three weights to six numbers, each element of which is a channel's.
void spread_weights(const float (*w)[TileRows], int step, float (*to)[TileRows], int to_step) {
    constexpr float a = 1 / (2 * AA * (AA - BB)), b = 1 / (2 * BB * (BB - AA)), zero = 1 / (AA * BB);
    for (int i = 0; i < TileRows; i++) {
        float first = w[0][i], middle = w[step][i], last = w[2 * step][i];
        float even_a = a * (first + AA * last), odd_a = a * A * middle;
        float even_b = b * (first + BB * last), odd_b = b * B * middle;
        to[0][i] = zero * first;
        to[to_step][i] = even_a + odd_a;
        to[2 * to_step][i] = even_a - odd_a;
        to[3 * to_step][i] = even_b + odd_b;
        to[4 * to_step][i] = even_b - odd_b;
        to[5 * to_step][i] = last;
    }
}

// To [number, group of channels, frame, in, TileRows], with zeros for absent channels.
void pack_weights(const WinogradShape& s, const ConvolutionWeights& weights, int64_t first_out, float* packed) {
    int64_t step = weights_step(s), window = s.frames * 9;
    packed += first_out * s.frames * s.in_channels;
    for (int64_t frame = 0; frame < s.frames; frame++)
        for (int64_t in = 0; in < s.in_channels; in++, packed += TileRows) {
            float w[9][TileRows], rows[Points * 3][TileRows], numbers[Numbers][TileRows];
            for (int64_t out = 0; out < TileRows; out++) {
                bool absent = first_out + out >= s.out_channels;
                const float* source = weights.data + (first_out + out) * weights.out_stride + in * weights.in_stride;
                for (int64_t tap = 0; tap < 9; tap++) {
                    int64_t place = frame * 9 + tap;
                    w[tap][out] = absent ? 0 : source[weights.mirrored ? window - 1 - place : place];
                }
            }
            for (int x = 0; x < 3; x++) spread_weights(w + x, 3, rows + x, 3);
            for (int p = 0; p < Points; p++) spread_weights(rows + 3 * p, 1, numbers + Points * p, 1);
            for (int n = 0; n < Numbers; n++)
                for (int i = 0; i < TileRows; i++) packed[n * step + i] = numbers[n][i];
        }
}

// Six pixels to six numbers.
inline void spread(const Vector* d, Vector* to) {
    Vector even_a = d[4] - BB * d[2], odd_a = A * (d[3] - BB * d[1]);
    Vector even_b = d[4] - AA * d[2], odd_b = B * (d[3] - AA * d[1]);
    to[0] = d[4] - (AA + BB) * d[2] + AA * BB * d[0];
    to[1] = even_a + odd_a;
    to[2] = even_a - odd_a;
    to[3] = even_b + odd_b;
    to[4] = even_b - odd_b;
    to[5] = d[5] - (AA + BB) * d[3] + AA * BB * d[1];
}

// Six sums to four pixels.
inline void collect(const Vector* m, Vector* to) {
    Vector even_a = m[1] + m[2], odd_a = A * (m[1] - m[2]);
    Vector even_b = m[3] + m[4], odd_b = B * (m[3] - m[4]);
    to[0] = m[0] + even_a + even_b;
    to[1] = odd_a + odd_b;
    to[2] = AA * even_a + BB * even_b;
    to[3] = AA * odd_a + BB * odd_b + m[5];
}

// The tiles of a strip from its six rows of pixels, each Reach + Lanes long.
void transform_strip(const float* const* lines, float* target, int64_t step) {
    alignas(64) float rows[Points][Reach + Lanes];
    for (int64_t x = 0; x < Reach + Lanes; x += Lanes) {
        Vector d[Points], numbers[Points];
        for (int r = 0; r < Points; r++) d[r] = load(lines[r] + x);
        spread(d, numbers);
        for (int p = 0; p < Points; p++) store(rows[p] + x, numbers[p]);
    }
    for (int p = 0; p < Points; p++) {
        alignas(64) float every[Side][Lanes + 2];  // pixel i, i + 4, i + 8, ...
        for (int i = 0; i < Lanes; i++)
            for (int j = 0; j < Side; j++) every[j][i] = rows[p][Side * i + j];
        every[0][Lanes] = rows[p][Reach];
        every[1][Lanes] = rows[p][Reach + 1];
        Vector d[Points], numbers[Points];
        for (int j = 0; j < Side; j++) d[j] = load(every[j]);
        d[4] = load(every[0] + 1);
        d[5] = load(every[1] + 1);
        spread(d, numbers);
        for (int q = 0; q < Points; q++) store(target + (p * Points + q) * step, numbers[q]);
    }
}

// The tiles of strip `index` of one plane.
void transform_plane(const WinogradShape& s, const float* plane, int64_t index, float* target, int64_t step) {
    int64_t top = index / s.strips * Side - s.border_h, left = index % s.strips * Reach - s.border_w;
    const float* lines[Points];
    if (top >= 0 && top + Points <= s.height && left >= 0 && left + Reach + Lanes <= s.width) {
        for (int r = 0; r < Points; r++) lines[r] = plane + (top + r) * s.width + left;
        transform_strip(lines, target, step);
        return;
    }
    alignas(64) float padded[Points][Reach + Lanes] = {};
    int64_t begin = left < 0 ? -left : 0, end = smaller(Reach + Lanes, s.width - left);
    for (int r = 0; r < Points; r++) {
        lines[r] = padded[r];
        if (top + r < 0 || top + r >= s.height) continue;
        const float* source = plane + (top + r) * s.width + left;
        for (int64_t x = begin; x < end; x++) padded[r][x] = source[x];
    }
    transform_strip(lines, target, step);
}

void transform_frames(const WinogradShape& s, const WinogradBlock& p, float* target, int64_t step) {
    for (int64_t frame = 0; frame < p.out_frames + s.frames - 1; frame++)
        for (int64_t channel = 0; channel < s.in_channels; channel++, target += Panel) {
            if (frame < p.first_frame || frame >= p.last_frame) {
                for (int n = 0; n < Numbers; n++)
                    for (int i = 0; i < Panel; i += Lanes) store(target + n * step + i, Vector{});
                continue;
            }
            const float* plane = p.input + channel * s.plane + frame * s.frame;
            for (int64_t i = 0; i < p.count; i++) transform_plane(s, plane, p.first + i, target + i * Lanes, step);
        }
}

template <int Strips>
void multiply(const WinogradShape& s, const WinogradBlock& p, const float* input, const float* weights, float* sums) {
    int64_t depth = s.frames * s.in_channels;
    for (int64_t frame = 0; frame < p.out_frames; frame++, input += s.in_channels * Panel) {
        const float* group = weights;
        for (int64_t out = 0; out < s.out_channels; out += TileRows, group += depth * TileRows, sums += TileRows * Panel)
            tile<TileRows, Strips, false>(depth, group, 1, TileRows, input, sums, Panel);
    }
}

// Back to pixels of strip `index` of one output plane.
void collect_plane(const WinogradShape& s, const float* sums, int64_t step, int64_t index, float bias, float* plane) {
    int64_t top = index / s.strips * Side, left = index % s.strips * Reach;
    Vector rows[Side][Points];
    for (int q = 0; q < Points; q++) {
        Vector m[Points], pixels[Side];
        for (int p = 0; p < Points; p++) m[p] = load(sums + (p * Points + q) * step);
        collect(m, pixels);
        for (int y = 0; y < Side; y++) rows[y][q] = pixels[y];
    }
    int64_t height = smaller(Side, s.out_height - top), width = smaller(Reach, s.out_width - left);
    for (int64_t y = 0; y < height; y++) {
        alignas(64) float every[Side][Lanes], line[Reach];
        Vector pixels[Side];
        collect(rows[y], pixels);
        for (int j = 0; j < Side; j++) store(every[j], pixels[j] + bias);
        for (int i = 0; i < Lanes; i++)
            for (int j = 0; j < Side; j++) line[Side * i + j] = every[j][i];
        float* target = plane + (top + y) * s.out_width + left;
        if (width == Reach)
            for (int64_t x = 0; x < Reach; x += Lanes) store(target + x, load(line + x));
        else
            for (int64_t x = 0; x < width; x++) target[x] = line[x];
    }
}

void convolve(const WinogradShape& s, const WinogradBlock& p, float* scratch) {
    int64_t from = input_step(s, p.out_frames), to = sums_step(s, p.out_frames);
    float* sums = scratch + Numbers * from;
    transform_frames(s, p, scratch, from);
    for (int n = 0; n < Numbers; n++) {
        const float* weights = p.weights + n * weights_step(s);
        if (p.count == 1) multiply<1>(s, p, scratch + n * from, weights, sums + n * to);
        else if (p.count == 2) multiply<2>(s, p, scratch + n * from, weights, sums + n * to);
        else multiply<TileVectors>(s, p, scratch + n * from, weights, sums + n * to);
    }
    for (int64_t frame = 0; frame < p.out_frames; frame++)
        for (int64_t out = 0; out < s.out_channels; out++) {
            const float* source = sums + (frame * outs(s) + out) * Panel;
            float* plane = p.output + out * s.out_plane + frame * s.out_frame;
            float bias = p.bias == nullptr ? 0 : p.bias[out];
            for (int64_t i = 0; i < p.count; i++) collect_plane(s, source + i * Lanes, to, p.first + i, bias, plane);
        }
}

}  // namespace

extern const WinogradKernel KERNEL(winograd) = {Side, Lanes, TileVectors, TileRows, weights_size, pack_weights, scratch, convolve};
