// The warp where rows stay rows and columns stay columns, as in resizing, cropping and flipping: all pixels of a row
// see the same source rows through the same weights, and all of a column the same columns. So source rows are blended
// into one first, and that one is filtered along.
#if defined(ONEWARP_AXIS_ALIGNED_INL_H) == defined(ONEWARP_TOGGLE)  // once for each instruction set: see cpu_target-inl.h
#ifdef ONEWARP_AXIS_ALIGNED_INL_H
#undef ONEWARP_AXIS_ALIGNED_INL_H
#else
#define ONEWARP_AXIS_ALIGNED_INL_H
#endif

#include "cpu_kernel-inl.h"

ONEWARP_BEGIN

// How many columns are worked on at once.
constexpr int kColumns = 256;
// Blended rows have 6 bits more than grey levels have, what is made of them the 13 of these weights too.
constexpr float kOneRow = 8192;
constexpr int kFiner = 64, kFinerBits = 6 + 13;

// One direction: the source position of output position u is step u + shift, and all pixels have the same filter.
struct Axis {
    double step, shift;
    Filter filter;
    int length;
    Padding padding;
};
inline Axis axis_of(double step, double shift, double w, int length, Padding padding) {
    const double extent = __builtin_fabs(step / w);
    return {step / w, shift / w, filter_of(setd(extent < 3 ? extent : 3)), length, padding};
}

// Where the windows of pixels begin, of which u are the centres, and their weights, integers that sum to 2^13.
template <int taps>
inline I windows_along(const Axis& axis, F u, I* weights) {
    const F length = set(static_cast<float>(axis.length));
    const F x = near(fma(setd(axis.step), u, setd(axis.shift)), length, axis.padding) - set(0.5f);
    const F x0 = floor(x), f = x - x0;
    F w[4] = {set(1) - f, f};
    if (taps == 4) all_taps(f, axis.filter, w);
    const I begin = fold<taps>(truncate(x0) - seti(taps / 2 - 1), axis.length, axis.padding, w);
    I rest = seti(static_cast<int>(kOneRow));
    for (int i = 0; i < taps; i++)
        if (i != taps / 2 - 1) weights[i] = round(w[i] * set(kOneRow)), rest = rest - weights[i];
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
        int16_t sum = static_cast<int16_t>(here * kFiner);
        for (int j = 0; j < taps; j++) {
            if (j == middle) continue;
            const int16_t difference = static_cast<int16_t>((first[j * stride + i] - here) * 128);
            sum = static_cast<int16_t>(sum + (((difference * weights[j] >> 14) + 1) >> 1));
        }
        out[i] = sum;
    }
}

// The columns from u0 on, at most kColumns: which part of the source rows they see, and how.
template <int taps>
struct Columns {
    int start, count;  // Which bytes of source rows they see.
    struct Several {
        alignas(64) int32_t offset[L];  // In bytes, in a blended row of those.
        RowWeights<taps> weights;
    } several[kColumns / L];
};
template <int taps>
inline void see(Columns<taps>& columns, const Axis& axis, int u0, int u1) {
    int first = axis.length, last = 0;
    for (int u = u0; u < u1; u += L) {
        auto& here = columns.several[(u - u0) / L];
        I weights[taps];
        // What is beyond the last column sees what that one sees.
        const F centre = min(lanes() + set(u + 0.5f), set(u1 - 0.5f));
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
    for (int u = u0; u < u1; u += L)
        for (int& offset : columns.several[(u - u0) / L].offset) offset = 2 * (3 * offset - columns.start);
}

// Whether bytes leave as they are sampled.
inline bool is_bare(const Request& request, const Image& image, const Colour& C) {
    return request.number == Number::uint8 && request.channels_last && !C.has_logit && !C.hue && !C.table &&
           !image.erase && is_identity(image.colour);
}

template <bool antialias>
inline void straight(const Request& request, const Image& image, const Division& n, int v0, int v1, int u0, int u1) {
    constexpr int taps = antialias ? 4 : 2;
    const double* h = image.h;
    Curve curves[3];
    const Colour C = colour_of(request, image, curves);
    const bool bare = is_bare(request, image, C);
    const Axis along = axis_of(h[0], h[2], h[8], image.width, request.padding);
    const Axis down = axis_of(h[4], h[5], h[8], image.height, request.padding);
    for (int left = u0; left < u1; left += kColumns) {
        const int right = left + kColumns < u1 ? left + kColumns : u1;
        Columns<taps> columns;
        see(columns, along, left, right);
        const uint8_t* source = image.pixels + columns.start;
        int16_t line[3 * (kColumns * kWidest + 4) + 96];
        alignas(64) int32_t begin[L], lane[taps][L];
        for (int v = v0; v < v1; v++) {
            const int i = (v - v0) % L;
            if (!i) {
                I weights[taps];
                storei(begin, windows_along<taps>(down, lanes() + set(v + 0.5f), weights));
                for (int j = 0; j < taps; j++) storei(lane[j], weights[j]);
            }
            int16_t weights[taps];
            for (int j = 0; j < taps; j++) weights[j] = static_cast<int16_t>(2 * lane[j][i]);
            look_ahead(request, image, v);
            blend_rows<taps>(source + static_cast<int64_t>(begin[i]) * image.stride, image.stride, weights,
                             columns.count, line);
            for (int u = left; u < right; u += L) {
                fetch(image, kLinesPerVector);
                const auto& here = columns.several[(u - left) / L];
                const int count = right - u < L ? right - u : L;
                if (bare) {
                    uint8_t* out = image.out + 3 * (static_cast<int64_t>(v) * request.width + u);
                    put_row<taps, kFinerBits>(line, here.offset, here.weights, count, out);
                    continue;
                }
                I sum[3];
                F rgb[3];
                dot_row<taps>(line, here.offset, here.weights, sum);
                for (int c = 0; c < 3; c++) rgb[c] = real(sum[c]);
                finish<antialias>(request, image, C, n, v, u, count, rgb, kLevel / (kFiner * kOneRow));
            }
        }
    }
}

ONEWARP_END
#endif
