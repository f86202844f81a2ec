// The warp where rows stay rows and columns stay columns, as in resizing, cropping and flipping: all pixels of a row
// see the same source rows through the same weights, and all of a column the same columns. So source rows are blended
// into one first, and that one is filtered along.
//
// Included once for each instruction set: see cpu_target-inl.h.
#if defined(ONEWARP_AXIS_ALIGNED_INL_H) == defined(ONEWARP_TOGGLE)
#ifdef ONEWARP_AXIS_ALIGNED_INL_H
#undef ONEWARP_AXIS_ALIGNED_INL_H
#else
#define ONEWARP_AXIS_ALIGNED_INL_H
#endif

#include "cpu_kernel-inl.h"

ONEWARP_BEGIN

// How many columns are worked on at once.
constexpr int kColumnsTogether = 256;
// A blended row has words of 2^6 for a grey level: 255 of them take half of 16 bits with a sign, and the filter's
// overshoot has room. Weights along it are of 2^13, so that the sum of four products, 255 x 2^19 and its overshoot,
// fits into 32 bits.
constexpr int kRowLevelBits = 6, kRowWeightBits = 13, kRowSumBits = kRowLevelBits + kRowWeightBits;
constexpr int kRowLevelScale = 1 << kRowLevelBits;
constexpr float kRowWeightScale = 1 << kRowWeightBits;

// One direction: the source position of output position u is step u + shift, and all pixels have the same filter.
struct Axis {
    double step, shift;
    Filter filter;
    int length;
    Padding padding;
};
inline Axis axis_of(double step, double shift, double w, int length, Padding padding) {
    const double extent = __builtin_fabs(step / w);
    return {step / w, shift / w, filter_of(setd(extent < kMostExtent ? extent : kMostExtent)), length, padding};
}

// Where the windows of pixels begin, of which u are the centres, and their weights, integers that sum to 2^13.
template <int taps>
inline Ints windows_along(const Axis& axis, Floats u, Ints* weights) {
    const Floats length = set(static_cast<float>(axis.length));
    const Floats x = near(fma(setd(axis.step), u, setd(axis.shift)), length, axis.padding) - set(0.5f);
    const Floats x0 = floor(x), f = x - x0;
    Floats w[4] = {set(1) - f, f};
    if (taps == 4) all_taps(f, axis.filter, w);
    const Ints begin = fold<taps>(truncate(x0) - seti(taps / 2 - 1), axis.length, axis.padding, w);
    Ints rest = seti(static_cast<int>(kRowWeightScale));
    for (int i = 0; i < taps; i++)
        if (i != taps / 2 - 1) weights[i] = round(w[i] * set(kRowWeightScale)), rest = rest - weights[i];
    weights[taps / 2 - 1] = rest;
    return begin;
}

// Blends rows, whose weights of 14 bits are those of the rows' difference from row `taps / 2 - 1`: a plain area stays
// plain.
template <int taps>
inline void blend_rows(const uint8_t* first, int stride, const int16_t* weights, int count, int16_t* out) {
    constexpr int middle = taps / 2 - 1;
    for (int i = blend_vectors<taps>(first, stride, weights, count, out); i < count; i++) {
        const int16_t here = first[middle * stride + i];
        int16_t sum = static_cast<int16_t>(here * kRowLevelScale);
        // Rounded as vpmulhrsw does it: 2^7 times a weight of 2^14 over 2^15 is 2^kRowLevelBits.
        for (int j = 0; j < taps; j++) {
            if (j == middle) continue;
            const int16_t difference = static_cast<int16_t>((first[j * stride + i] - here) * 128);
            sum = static_cast<int16_t>(sum + (((difference * weights[j] >> 14) + 1) >> 1));
        }
        out[i] = sum;
    }
}

// The columns from u0 on, at most kColumnsTogether: which part of the source rows they see, and how.
template <int taps>
struct Columns {
    int start, count;  // Which bytes of source rows they see.
    struct ColumnVector {
        alignas(64) int32_t offset[kLanes];  // In bytes, in a blended row of those.
        RowWeights<taps> weights;
    } vectors[kColumnsTogether / kLanes];
};
template <int taps>
inline void locate_columns(Columns<taps>& columns, const Axis& axis, int u0, int u1) {
    int first = axis.length, last = 0;
    for (int u = u0; u < u1; u += kLanes) {
        auto& here = columns.vectors[(u - u0) / kLanes];
        Ints weights[taps];
        // What is beyond the last column sees what that one sees.
        const Floats centre = min(lanes() + set(u + 0.5f), set(u1 - 0.5f));
        storei(here.offset, windows_along<taps>(axis, centre, weights));
        here.weights = row_weights<taps>(weights);
        for (const int begin : here.offset) {
            first = begin < first ? begin : first;
            last = begin + taps > last ? begin + taps : last;
        }
    }
    // Whole vectors, where rows are long enough.
    const int wanted = 3 * (last - first), rounded = (wanted + 63) / 64 * 64, spare = 3 * axis.length - rounded;
    columns.count = spare < 0 ? wanted : rounded;
    columns.start = spare < 0 || 3 * first < spare ? 3 * first : spare;
    for (int u = u0; u < u1; u += kLanes)
        for (int& offset : columns.vectors[(u - u0) / kLanes].offset) offset = 2 * (3 * offset - columns.start);
}

// Whether bytes leave as they are sampled.
inline bool stores_samples(const Request& request, const Image& image, const Colour& colour) {
    return request.number == Number::uint8 && request.channels_last && !colour.has_logit && !colour.hue &&
           !colour.table && !image.erase && is_identity(image.colour);
}

template <bool antialias>
inline void warp_axis_aligned(const Request& request, const Image& image, const Division& n, int v0, int v1, int u0,
                              int u1) {
    constexpr int taps = antialias ? 4 : 2;
    const double* h = image.h;
    Curve curves[3];
    const Colour colour = colour_of(request, image, curves);
    const bool plain = stores_samples(request, image, colour);
    const Axis along = axis_of(h[0], h[2], h[8], image.width, request.padding);
    const Axis down = axis_of(h[4], h[5], h[8], image.height, request.padding);
    for (int left = u0; left < u1; left += kColumnsTogether) {
        const int right = left + kColumnsTogether < u1 ? left + kColumnsTogether : u1;
        Columns<taps> columns;
        locate_columns(columns, along, left, right);
        const uint8_t* source = image.pixels + columns.start;
        int16_t line[3 * (kColumnsTogether * kMostColumnWidth + 4) + 96];
        alignas(64) int32_t begin[kLanes], lane[taps][kLanes];
        for (int v = v0; v < v1; v++) {
            const int i = (v - v0) % kLanes;
            if (!i) {
                Ints weights[taps];
                storei(begin, windows_along<taps>(down, lanes() + set(v + 0.5f), weights));
                for (int j = 0; j < taps; j++) storei(lane[j], weights[j]);
            }
            int16_t weights[taps];
            for (int j = 0; j < taps; j++) weights[j] = static_cast<int16_t>(2 * lane[j][i]);
            look_ahead(request, image, v);
            blend_rows<taps>(source + static_cast<int64_t>(begin[i]) * image.stride, image.stride, weights,
                             columns.count, line);
            for (int u = left; u < right; u += kLanes) {
                fetch(image, kLinesPerVector);
                const auto& here = columns.vectors[(u - left) / kLanes];
                const int count = right - u < kLanes ? right - u : kLanes;
                if (plain) {
                    uint8_t* out = image.out + 3 * (static_cast<int64_t>(v) * request.width + u);
                    put_row<taps, kRowSumBits>(line, here.offset, here.weights, count, out);
                    continue;
                }
                Ints sum[3];
                Floats rgb[3];
                dot_row<taps>(line, here.offset, here.weights, sum);
                for (int c = 0; c < 3; c++) rgb[c] = real(sum[c]);
                colour_and_store<antialias>(request, image, colour, n, v, u, count, rgb,
                                            kGreyLevel / (kRowLevelScale * kRowWeightScale));
            }
        }
    }
}

ONEWARP_END
#endif
