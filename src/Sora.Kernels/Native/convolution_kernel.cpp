// The kernel of convolution_kernel.h: matrix products of the weights with the input's neighbourhoods, which are laid
// out for some channels and some positions at a time, so that they stay in cache while all output channels use them.
//
// This file is compiled once for each instruction set (KERNEL names the result).

#include "convolution_kernel.h"
#include "vector.h"

namespace {

constexpr int64_t BlockPositions = 6 * Panel;
constexpr int64_t Depth = 512;  // products summed before the next tile, so that the weights of one stay in cache

// With many channels oneDNN's layout in blocks of channels is worth its conversions.
#if defined(__AVX512F__)
constexpr int64_t MostChannels = 160;
#else
constexpr int64_t MostChannels = 64;
#endif

int64_t channels_at_a_time(int64_t taps) { return Depth / taps > 1 ? Depth / taps : 1; }

// A tile of output channels, to [frame, in, tap, TileRows], with zeros for absent channels.
void pack_weights(const ConvolutionShape& s, const ConvolutionWeights& weights, int64_t first_out, float* packed) {
    int64_t window = s.frames * s.tap_count;
    for (int64_t frame = 0; frame < s.frames; frame++)
        for (int64_t in = 0; in < s.in_channels; in++)
            for (int64_t tap = 0; tap < s.tap_count; tap++) {
                int64_t place = frame * s.tap_count + tap;
                const float* source = weights.data + in * weights.in_stride + (weights.mirrored ? window - 1 - place : place);
                for (int64_t out = first_out; out < first_out + TileRows; out++)
                    *packed++ = out < s.out_channels ? source[out * weights.out_stride] : 0;
            }
}

size_t scratch(const ConvolutionShape& s) {
    int64_t depth = channels_at_a_time(s.tap_count) * s.tap_count;
    return static_cast<size_t>((round_up(s.out_channels, TileRows) + depth) * BlockPositions);
}

// Lays out what each product reads, [channel, tap, position], as panels of Panel positions.
void gather(const ConvolutionShape& s, const float* input, int64_t channels, int64_t count, float* panels) {
    int64_t depth = channels * s.tap_count;
    for (int64_t channel = 0; channel < channels; channel++, input += s.plane) {
        for (int64_t tap = 0; tap < s.tap_count; tap++, panels += Panel) {
            const float* source = input + s.taps[tap];
            for (int64_t i = 0; i < count; i += Panel)
                for (int j = 0; j < Panel; j += Lanes) store(panels + i * depth + j, load(source + i + j));
        }
    }
}

// Stores what lies within the output's columns.
void scatter(const ConvolutionShape& s, const ConvolutionBlock& p, const float* sums) {
    for (int64_t channel = 0; channel < s.out_channels; channel++, sums += BlockPositions) {
        float* plane = p.output + channel * s.out_plane;
        int64_t y = p.first / s.row, x = p.first % s.row;
        for (int64_t i = 0; i < p.count; y++, x = 0) {
            int64_t run = smaller(s.row - x, p.count - i);
            int64_t kept = smaller(s.width - x, run);
            for (int64_t k = 0; k < kept; k++) plane[y * s.width + x + k] = sums[i + k];
            i += run;
        }
    }
}

void convolve(const ConvolutionShape& s, const ConvolutionBlock& p, float* sums) {
    int64_t out_channels = round_up(s.out_channels, TileRows);
    for (int64_t i = 0; i < out_channels; i++) {
        Vector start = broadcast(p.bias != nullptr && i < s.out_channels ? p.bias[i] : 0);
        for (int64_t j = 0; j < BlockPositions; j += Lanes) store(sums + i * BlockPositions + j, start);
    }
    float* panels = sums + out_channels * BlockPositions;
    int64_t step = channels_at_a_time(s.tap_count);
    for (int64_t frame = p.first_frame; frame < p.last_frame; frame++) {
        for (int64_t channel = 0; channel < s.in_channels; channel += step) {
            int64_t channels = smaller(step, s.in_channels - channel);
            int64_t depth = channels * s.tap_count;
            gather(s, p.input + frame * s.frame + channel * s.plane + p.first, channels, p.count, panels);
            for (int64_t out = 0; out < s.out_channels; out += TileRows) {
                const float* weights = p.weights
                    + (out * s.frames * s.in_channels + (frame * s.in_channels + channel) * TileRows) * s.tap_count;
                for (int64_t i = 0; i < p.count; i += Panel) {
                    const float* panel = panels + i * depth;
                    float* target = sums + out * BlockPositions + i;
                    if (s.out_channels - out > TileRows / 2)
                        tile<TileRows, TileVectors, true>(depth, weights, 1, TileRows, panel, target, BlockPositions);
                    else
                        tile<TileRows / 2, TileVectors, true>(depth, weights, 1, TileRows, panel, target, BlockPositions);
                }
            }
        }
    }
    scatter(s, p, sums);
}

// From the gradient of the output, [out, y, x], to [out / Panel, position, Panel]; positions that don't count are zero.
void pack_gradient(const ConvolutionShape& s, const float* gradient, int64_t first, int64_t count, float* packed) {
    for (int64_t out = 0; out < s.out_channels; out += Panel, packed += BlockPositions * Panel) {
        for (int64_t i = 0; i < Panel; i++) {
            const float* plane = gradient + (out + i) * s.out_plane;
            int64_t y = first / s.row, x = first % s.row;
            for (int64_t k = 0; k < count; k++) {
                packed[k * Panel + i] = out + i < s.out_channels && x < s.width ? plane[y * s.width + x] : 0;
                if (++x == s.row) {
                    x = 0;
                    y++;
                }
            }
        }
    }
}

void accumulate(const ConvolutionShape& s, const ConvolutionGradientBlock& p) {
    int64_t groups = (s.in_channels + TileRows - 1) / TileRows;
    int64_t columns = round_up(s.out_channels, Panel);
    for (int64_t unit = p.first_unit; unit < p.last_unit; unit++) {
        int64_t tap = unit % s.tap_count;
        int64_t group = unit / s.tap_count % groups;
        int64_t frame = unit / (s.tap_count * groups);
        if (frame < p.first_frame || frame >= p.last_frame) continue;
        const float* input = p.input + frame * s.frame + group * TileRows * s.plane + s.taps[tap] + p.first;
        float* target = p.gradient + unit * TileRows * columns;
        for (int64_t out = 0; out < s.out_channels; out += Panel) {
            const float* panel = p.packed + out * BlockPositions;
            if (s.out_channels - out > 2 * Lanes)
                tile<TileRows, TileVectors, true>(p.count, input, s.plane, 1, panel, target + out, columns);
            else if (s.out_channels - out > Lanes)
                tile<TileRows, 2, true>(p.count, input, s.plane, 1, panel, target + out, columns);
            else
                tile<TileRows, 1, true>(p.count, input, s.plane, 1, panel, target + out, columns);
        }
    }
}

}  // namespace

extern const ConvolutionKernel KERNEL(convolution) = {MostChannels, BlockPositions, Panel, TileRows, Panel, pack_weights,
                                                      scratch, convolve, pack_gradient, accumulate};
