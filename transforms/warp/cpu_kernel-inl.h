// The warp of rows of one image, written once over the vectors of cpu_portable.h, cpu_avx2.h and cpu_avx512.h and
// compiled once for each. The mathematics is README.md's.
//
// Floats, Ints and LaneMask hold kLanes numbers, or truths of comparisons; each lane is one output pixel of a row.
//
// Included once for each instruction set: see cpu_target-inl.h.
#if defined(ONEWARP_KERNEL_INL_H) == defined(ONEWARP_TOGGLE)
#ifdef ONEWARP_KERNEL_INL_H
#undef ONEWARP_KERNEL_INL_H
#else
#define ONEWARP_KERNEL_INL_H
#endif

#include <cstdint>
#include <type_traits>

#include "cpu_exact.h"
#include "cpu_target-inl.h"
#include "cpu_types.h"
#include "cpu_words-inl.h"
#include "cpu_colour-inl.h"

ONEWARP_BEGIN

// Grey levels to 0..1. A little too large, so that white is never a rounding error less than one: its logit would show.
constexpr float kGreyLevel = 1.0000003f / 255;
// What sums of kWeightScale of weights are multiplied by.
constexpr float kSampleScale = kGreyLevel / kWeightScale;
// Closer than this to black or white, logits magnify the rounding of weights and float32 positions.
// At 1.5 grey levels a logit rises by 1 / (x (1 - x)) = 168 from 0 to 1, and closer to the end by more.
constexpr float kLogitGuard = 0.006f;

// How many output rows ahead source rows are prefetched; and how many cache lines of them for each
// vector of pixels: as many as it reads where a picture is reduced 2.5 times in each direction.
constexpr int kRowsAhead = 12, kLinesPerVector = kLanes / 4 + 1;
// How many vectors of a row are worked on side by side: those of 64 pixels.
constexpr int kVectorsTogether = 64 / kLanes;

ONEWARP_INLINE Floats setd(double x) { return set(static_cast<float>(x)); }

// Constants of one image's geometry.
struct Geometry {
    const Image& image;
    Floats a, b, d, e, g, k;  // The homography's entries that the Jacobian needs.
    Floats width, height;
    float x_last, y_last;  // The fast path reads windows that end before these.
    bool float_offsets;    // Every byte's number is exact in float32.
    Floats fill[3];
    Padding padding;
};

inline Geometry geometry_of(const Request& request, const Image& image, bool antialias) {
    const double* h = image.h;
    Geometry geometry{image,      setd(h[0]),        setd(h[1]),         setd(h[3]), setd(h[4]), setd(h[6]),
                      setd(h[7]), setd(image.width), setd(image.height), 0,          0,          false,
                      {},         request.padding};
    geometry.float_offsets = static_cast<int64_t>(image.height) * image.stride < 1 << 24;
    const int reach = antialias ? 2 : 1;
    geometry.x_last = static_cast<float>(image.width - reach);
    geometry.y_last = static_cast<float>(image.height - reach);
    for (int c = 0; c < 3; c++) geometry.fill[c] = set(request.fill[c]);
    return geometry;
}

// What does not change along a row of output positions v: the numerators and w without their u terms.
struct Row {
    double v;
    Floats x, y, w;
};
ONEWARP_INLINE Row row_at(const Image& image, double v) {
    const double* h = image.h;
    return {v, setd(h[1] * v + h[2]), setd(h[4] * v + h[5]), setd(h[7] * v + h[8])};
}

// The filter along an axis, as far as it follows from the footprint's extent: r and p of README.md.
struct Filter {
    Floats r, p;
};
ONEWARP_INLINE Filter filter_of(Floats extent) {
    const Floats t = max(extent - set(1), set(0)), s = min(extent, set(1));
    const Floats r = fma(t * t, setd(-kCurveLoss), setd(kCurveAtOne));
    return {r, fma(s * s, setd(kBlurAtOne), fma(t, setd(kBlurGain), -r))};
}
ONEWARP_INLINE Filter filter_of(Floats along_u, Floats along_v, Floats du, Floats dv, Floats inverse_w) {
    const Floats p = along_u * du, q = along_v * dv;
    return filter_of(min(root(fma(p, p, q * q)) * inverse_w, setd(kMostExtent)));
}

// Where the pixels of a vector look, and through which filters.
struct Position {
    Floats x, y;
    Filter across, down;
    LaneMask dead;  // No source: w is not positive.
};

// Positions where w is positive throughout and float32 has the bits for them.
template <bool antialias>
ONEWARP_INLINE Position positions(const Geometry& geometry, const Row& row, Floats u, Floats du, Floats dv) {
    const Floats r = inverse(fma(geometry.g, u, row.w));
    Position p;
    p.x = fma(geometry.a, u, row.x) * r;
    p.y = fma(geometry.d, u, row.y) * r;
    if (antialias) {
        p.across = filter_of(fma(-p.x, geometry.g, geometry.a), fma(-p.x, geometry.k, geometry.b), du, dv, r);
        p.down = filter_of(fma(-p.y, geometry.g, geometry.d), fma(-p.y, geometry.k, geometry.e), du, dv, r);
    }
    p.dead = less(set(0), set(0));
    return p;
}

// Whether windows lie inside of the image, whose first pixels are to begin at `first`, and to end `before` the last.
ONEWARP_INLINE LaneMask inside_of(const Geometry& geometry, Floats x, Floats y, float first, float before) {
    const LaneMask in_x = both(less_equal(set(first), x), less(x, set(geometry.x_last - before)));
    return both(in_x, both(less_equal(set(first), y), less(y, set(geometry.y_last - before))));
}

// A row's filters are computed at knots, every kKnotSpacing pixels, one in each lane, and are quadratic in between: a
// value, a first difference and half of a second one. Each quadratic takes the knots at its ends and the one behind
// them, so two lanes less than a vector has begin one.
constexpr int kKnotSpacing = 16, kKnotReach = kLanes > 1 ? (kLanes - 2) * kKnotSpacing : 64;
// The sum of the filters' third differences is less than this. Between two knots a quadratic is wrong by at most
// max |t (t - 1) (t - 2) / 6| = 1/15.6 of a third difference: here by 2.6e-4 of a weight, or .07 grey levels.
constexpr float kMostThirdDifference = 4e-3f;
// r of the largest footprint: beyond it filters change no more, and have a kink there.
constexpr float kLeastCurve =
    static_cast<float>(kCurveAtOne) -
    static_cast<float>(kCurveLoss) * static_cast<float>((kMostExtent - 1) * (kMostExtent - 1));
// Filters of columns are times kWeightScale, as their weights will be.
struct Knots {
    alignas(64) float at[4][kLanes], step[4][kLanes], bend[4][kLanes];
    unsigned inside;  // A bit for each stretch between two knots: whether all windows in it are.
};
// How many pixels further inside the windows at knots have to be, so that rounding leaves none between them outside:
// more than float32 ever loses of a position (kMostTerms of cpu_warp.h).
constexpr float kKnotMargin = 1.f / 16;
// Computes the knots of the `length` pixels from u on; false where filters are not smooth enough for quadratics.
inline bool fit_filters(Knots& knots, const Geometry& geometry, const Row& row, int u, int length) {
    const Floats there = fma(lanes(), set(kKnotSpacing), set(static_cast<float>(u)));
    const Position p = positions<true>(geometry, row, there, set(1), set(1));
    const Floats filters[4] = {p.across.r * set(kWeightScale), p.across.p * set(kWeightScale), p.down.r, p.down.p};
    Floats rough = set(0);
    for (int i = 0; i < 4; i++) {
        const Floats step = after(filters[i]) - filters[i], bend = after(step) - step;
        rough = fma(abs(after(bend) - bend), set(i < 2 ? 1 / kWeightScale : 1), rough);
        store(knots.at[i], filters[i]), store(knots.step[i], fma(bend, set(-0.5f), step));
        store(knots.bend[i], bend * set(0.5f));
    }
    const unsigned inside =
        bits_of(inside_of(geometry, p.x - set(0.5f), p.y - set(0.5f), 1 + kKnotMargin, kKnotMargin));
    knots.inside = inside & inside >> 1;
    const LaneMask narrow = less(set(kLeastCurve * 1.001f), min(p.across.r, p.down.r));
    const int last = (length - 1) / kKnotSpacing;  // Whose third difference needs one more knot.
    const LaneMask unused = less(set(static_cast<float>(last > 1 ? last - 1 : 0)), lanes());
    return all(less(select(unused, set(0), select(narrow, rough, set(1))), set(kMostThirdDifference)));
}
// The filters of the vector that begins `along` pixels after the first knot.
ONEWARP_INLINE void filters_at(const Knots& knots, int along, Filter& across, Filter& down) {
    const int k = along / kKnotSpacing;
    const int within = kLanes % kKnotSpacing ? along % kKnotSpacing : 0;
    const Floats part = fma(lanes(), set(1.f / kKnotSpacing), set((within + 0.5f) / kKnotSpacing));
    const auto between = [&](int i) {
        return fma(fma(set(knots.bend[i][k]), part, set(knots.step[i][k])), part, set(knots.at[i][k]));
    };
    across = {between(0), between(1)}, down = {between(2), between(3)};
}

// A coordinate that finds the same colour within the frame, or a few pixels outside of it.
ONEWARP_INLINE double near(double x, double length, Padding padding) {
    if (padding == Padding::reflection) {
        x -= 2 * length * __builtin_floor(x / (2 * length));
        x = x < length ? x : 2 * length - x;
        return x < 0 ? 0 : x;
    }
    return x < -4 ? -4 : x > length + 4 ? length + 4 : x;
}

// The same in float64, lane by lane, and already brought near the frame: for tiles at the horizon, which are few.
ONEWARP_NOINLINE Position precise_positions(const Geometry& geometry, const Row& row, Floats u, Floats du, Floats dv) {
    const double* h = geometry.image.h;
    alignas(64) float us[kLanes], dus[kLanes], dvs[kLanes], x[kLanes], y[kLanes], extent_x[kLanes], extent_y[kLanes],
        live[kLanes];
    store(us, u), store(dus, du), store(dvs, dv);
    for (int i = 0; i < kLanes; i++) {
        const double w = h[6] * us[i] + h[7] * row.v + h[8], inverse_w = w > 0 ? 1 / w : 0;
        live[i] = w > 0 ? 1.f : 0.f;
        const double X = within_reach((h[0] * us[i] + h[1] * row.v + h[2]) * inverse_w);
        const double Y = within_reach((h[3] * us[i] + h[4] * row.v + h[5]) * inverse_w);
        const auto extent_of = [&](double along_u, double along_v) {
            const double p = along_u * dus[i], q = along_v * dvs[i], s = __builtin_sqrt(p * p + q * q) * inverse_w;
            return static_cast<float>(s < kMostExtent ? s : kMostExtent);
        };
        extent_x[i] = extent_of(h[0] - X * h[6], h[1] - X * h[7]);
        extent_y[i] = extent_of(h[3] - Y * h[6], h[4] - Y * h[7]);
        x[i] = static_cast<float>(near(X, geometry.image.width, geometry.padding));
        y[i] = static_cast<float>(near(Y, geometry.image.height, geometry.padding));
    }
    return {load(x), load(y), filter_of(load(extent_x)), filter_of(load(extent_y)), less(load(live), set(0.5f))};
}

// Weights of the outer two of the four pixels about a position.
ONEWARP_INLINE void outer_taps(Floats fraction, const Filter& filter, Floats& first, Floats& last) {
    const Floats f = fraction, g = set(1) - f;
    first = g * fma(filter.r, g * g, filter.p);
    last = f * fma(filter.r, f * f, filter.p);
}
ONEWARP_INLINE void all_taps(Floats fraction, const Filter& filter, Floats* w) {
    outer_taps(fraction, filter, w[0], w[3]);
    w[1] = fma(w[0], set(-2), set(1) - fraction + w[3]);
    w[2] = fma(w[3], set(-2), fraction + w[0]);
}

// Moves the taps that begin at pixel `start` into a window of as many pixels inside the frame, whose first is returned:
// each weight goes to the pixel that the padding puts in its pixel's place.
template <int taps>
ONEWARP_INLINE Ints fold(Ints start, int length, Padding padding, Floats* w) {
    const Ints begin = maxi(mini(start, seti(length - taps)), seti(0));
    Floats folded[taps];
    for (int i = 0; i < taps; i++) folded[i] = set(0);
    for (int j = 0; j < taps; j++) {
        Ints index = start + seti(j);
        if (padding == Padding::reflection) {
            index = maxi(index, -1 - index);
            index = mini(index, 2 * length - 1 - index);
        } else if (padding == Padding::border) {
            index = maxi(mini(index, seti(length - 1)), seti(0));
        }
        for (int i = 0; i < taps; i++) folded[i] = folded[i] + select(equali(index, begin + seti(i)), w[j], set(0));
    }
    for (int i = 0; i < taps; i++) w[i] = folded[i];
    return begin;
}

ONEWARP_INLINE Floats near(Floats x, Floats length, Padding padding) {
    if (padding == Padding::reflection) {
        const Floats period = length + length;
        x = fma(-period, floor(x * inverse(period)), x);
        return max(min(x, period - x), set(0));
    }
    return max(min(x, length + set(4)), set(-4));
}

// Windows of `taps` pixels a side inside the image, and the weights of their columns and rows.
template <int taps>
struct Taps {
    Ints column, line;
    Floats x[taps], y[taps];
};

// Those about a position anywhere: mirrored, clamped or on the padding, of which there may be less than one of weight.
// Needs an image of at least that many pixels.
template <int taps, bool antialias>
ONEWARP_INLINE Taps<taps> taps_at(const Geometry& geometry, const Position& p, bool is_near) {
    constexpr int before = taps == 4 ? 1 : 0, behind = taps / 2;
    Floats x = p.x, y = p.y;
    if (!is_near) x = near(x, geometry.width, geometry.padding), y = near(y, geometry.height, geometry.padding);
    if (taps > 1) x = x - set(0.5f), y = y - set(0.5f);
    const Floats x0 = floor(x), y0 = floor(y), fx = x - x0, fy = y - y0;
    Taps<taps> t;
    if constexpr (antialias) {
        all_taps(fx, p.across, t.x), all_taps(fy, p.down, t.y);
    } else if constexpr (taps == 1) {
        t.x[0] = t.y[0] = set(1);
    } else {
        for (int i = 0; i < taps; i++) t.x[i] = t.y[i] = set(0);
        t.x[before] = set(1) - fx, t.x[before + 1] = fx;
        t.y[before] = set(1) - fy, t.y[before + 1] = fy;
    }
    t.column = truncate(x0) - seti(before), t.line = truncate(y0) - seti(before);
    // An edge is crossed along one axis, as a rule.
    const Floats first = set(before), last = set(behind);
    if (!all(both(less_equal(first, x), less(x, geometry.width - last))))
        t.column = fold<taps>(t.column, geometry.image.width, geometry.padding, t.x);
    if (!all(both(less_equal(first, y), less(y, geometry.height - last))))
        t.line = fold<taps>(t.line, geometry.image.height, geometry.padding, t.y);
    return t;
}
template <int taps>
ONEWARP_INLINE Floats missing(const Taps<taps>& t) {
    Floats across = t.x[0], down = t.y[0];
    for (int i = 1; i < taps; i++) across = across + t.x[i], down = down + t.y[i];
    return set(1) - across * down;
}

// One sample of bytes anywhere.
template <bool antialias>
ONEWARP_NOINLINE void sample_anywhere(const Geometry& geometry, Position p, bool is_near, Floats* rgb) {
    const Image& image = geometry.image;
    const Taps<4> t = taps_at<4, antialias>(geometry, p, is_near);
    Floats sum[3];
    const Weights4 w = weights4(t.x, t.y);  // Rounded.
    alignas(64) int32_t offset[kLanes];
    storei(offset, t.line * image.stride + t.column * 3);
    dot4<true>(image.pixels, image.stride, offset, w, sum);
    const Floats padding = missing(t) * set(kWeightScale), whole = inverse(total_weight(w) + padding);
    for (int c = 0; c < 3; c++) {
        Floats value = sum[c] * set(kGreyLevel);
        if (geometry.padding == Padding::colour) value = fma(padding, geometry.fill[c], value);
        rgb[c] = select(p.dead, geometry.fill[c], value * whole) * set(1 / kSampleScale);
    }
}

// A vector of pixels on its way: where its windows begin and their weights, or the samples themselves, where there are
// no windows inside of the image that give them.
template <class Weights>
struct WeightedWindows {
    alignas(64) int32_t offset[kLanes];
    Weights weights;
    bool inside;
    Floats rgb[3];
};

template <bool antialias>
using Window = WeightedWindows<std::conditional_t<antialias, Weights4, Weights2>>;

// Windows that would reach outside of the image, moved inside; not for a colour around it, which has no pixels.
template <bool antialias>
ONEWARP_NOINLINE void locate_edge_windows(const Geometry& geometry, Position p, Window<antialias>& out) {
    const int stride = geometry.image.stride;
    const Taps<antialias ? 4 : 2> t = taps_at<antialias ? 4 : 2, antialias>(geometry, p, false);
    if constexpr (antialias) {
        storei(out.offset, t.line * stride + t.column * 3 + (stride + 3));
        out.weights = folded_weights4(t.x, t.y);
    } else {
        storei(out.offset, t.line * stride + t.column * 3);
        out.weights = weights2(t.x[1], t.y[1]);
    }
}

template <bool antialias>
ONEWARP_INLINE void locate_windows(const Geometry& geometry, const Row& row, Floats u, Floats du, Floats dv,
                                   const Knots* knots, int along, Window<antialias>& out) {
    const Image& image = geometry.image;
    Floats x, y;
    Filter across{}, down{};
    out.inside = true;
    if (antialias && knots && knots->inside >> along / kKnotSpacing & 1) {
        const Floats r = inverse(fma(geometry.g, u, row.w));
        x = fma(fma(geometry.a, u, row.x), r, set(-0.5f)), y = fma(fma(geometry.d, u, row.y), r, set(-0.5f));
        filters_at(*knots, along, across, down);
    } else {
        const Position p = positions<antialias>(geometry, row, u, du, dv);
        x = p.x - set(0.5f), y = p.y - set(0.5f);
        if (!all(inside_of(geometry, x, y, antialias ? 1 : 0, 0))) {
            if (geometry.padding != Padding::colour) return locate_edge_windows<antialias>(geometry, p, out);
            out.inside = false;
            return sample_anywhere<antialias>(geometry, p, false, out.rgb);
        }
        if (antialias) across = {p.across.r * set(kWeightScale), p.across.p * set(kWeightScale)}, down = p.down;
    }
    const Floats x0 = floor(x), y0 = floor(y), fx = x - x0, fy = y - y0;
    storei(out.offset, geometry.float_offsets ? round(fma(y0, set(static_cast<float>(image.stride)), x0 * set(3)))
                                              : truncate(y0) * image.stride + truncate(x0) * 3);
    if constexpr (antialias) {
        Floats first_y, last_y;
        outer_taps(fy, down, first_y, last_y);
        out.weights = exact_weights4(fx, across.r, across.p, fy, first_y, last_y);
    } else {
        out.weights = weights2(fx, fy);
    }
}

template <bool antialias>
ONEWARP_NOINLINE void sample_precisely(const Geometry& geometry, const Row& row, Floats u, Floats du, Floats dv,
                                       Window<antialias>& out) {
    out.inside = false;
    sample_anywhere<antialias>(geometry, precise_positions(geometry, row, u, du, dv), true, out.rgb);
}

template <bool antialias>
ONEWARP_INLINE void filter_windows(const Image& image, const Window<antialias>& window, Floats* rgb) {
    if (!window.inside) {
        for (int c = 0; c < 3; c++) rgb[c] = window.rgb[c];
        return;
    }
    if constexpr (antialias) {
        const uint8_t* corner = image.pixels - image.stride - 3;
        if (image.no_overread)
            dot4<true>(corner, image.stride, window.offset, window.weights, rgb);
        else
            dot4<false>(corner, image.stride, window.offset, window.weights, rgb);
    } else {
        Ints sum[3];
        if (image.no_overread)
            dot2<true>(image.pixels, image.stride, window.offset, window.weights, sum);
        else
            dot2<false>(image.pixels, image.stride, window.offset, window.weights, sum);
        for (int c = 0; c < 3; c++) rgb[c] = real(sum[c]);
    }
}

ONEWARP_INLINE void erase(const Request& request, const Image& image, int v, Floats u, Floats* rgb) {
    const float* box = image.erase;
    if (!(v + 0.5f >= box[1] && v + 0.5f < box[3])) return;
    const float unit = request.number == Number::uint8 ? 255.f : 1.f;
    const LaneMask hit = both(less_equal(set(box[0]), u), less(u, set(box[2])));
    for (int c = 0; c < 3; c++) rgb[c] = select(hit, set(image.erase_length > 4 ? box[4 + c] * unit : 0.f), rgb[c]);
}

// The first `count` pixels of a vector to their place in row v from column u.
template <class T>
ONEWARP_INLINE void write(const Request& request, T* out, int64_t v, int64_t u, int count, const Floats* rgb,
                          bool streamed) {
    const int64_t plane = static_cast<int64_t>(request.height) * request.width, at = v * request.width + u;
    if (!request.channels_last) {
        for (int c = 0; c < 3; c++) put(out + c * plane + at, rgb[c], count, streamed);
        return;
    }
    Floats mixed[3];
    interleave(rgb, mixed);
    for (int part = 0, left = 3 * count; left > 0; part++, left -= kLanes)
        put(out + 3 * at + part * kLanes, mixed[part], left < kLanes ? left : kLanes, streamed);
}

ONEWARP_INLINE void write(const Request& request, const Image& image, int v, int u, int count, const Floats* rgb) {
    switch (request.number) {
        case Number::float32:
            return write(request, reinterpret_cast<float*>(image.out), v, u, count, rgb, image.streamed);
        case Number::bfloat16:
            return write(request, reinterpret_cast<uint16_t*>(image.out), v, u, count, rgb, image.streamed);
        case Number::uint8:
            return write(request, image.out, v, u, count, rgb, image.streamed);
    }
}

// Does the logits of those pixels again, exactly, where `x` was close to black or white and its source is not plain.
ONEWARP_NOINLINE void logits_again(const Request& request, const Image& image, const Division& n, int v, int u,
                                   int count, const float (*x)[kLanes], float (*y)[kLanes]) {
    for (int i = 0; i < count; i++) {
        bool close = false;
        for (int c = 0; c < 3; c++) close |= x[c][i] < kLogitGuard || x[c][i] > 1 - kLogitGuard;
        if (!close || is_plain(image, n, v, u + i)) continue;
        double exact[3];
        exact_pixel(request, image, n, v, u + i, exact);
        exact_logit(image.logit, exact);
        for (int c = 0; c < 3; c++) y[c][i] = static_cast<float>(exact[c]);
    }
}
ONEWARP_INLINE void logit_exactly(const Request& request, const Image& image, const Division& n, int v, int u,
                                  int count, const Floats* before, Floats* rgb) {
    alignas(64) float x[3][kLanes], y[3][kLanes];
    for (int c = 0; c < 3; c++) store(x[c], before[c]), store(y[c], rgb[c]);
    logits_again(request, image, n, v, u, count, x, y);
    for (int c = 0; c < 3; c++) rgb[c] = load(y[c]);
}

// The pixels of images that are smaller than the window.
ONEWARP_NOINLINE void pixels_of_small(const Request& request, const Image& image, const Division& n, int v, int u,
                                      int count, float (*x)[kLanes]) {
    for (int i = 0; i < count; i++) {
        double exact[3];
        exact_pixel(request, image, n, v, u + i, exact);
        for (int c = 0; c < 3; c++) x[c][i] = static_cast<float>(exact[c]);
    }
}
ONEWARP_INLINE void sample_small(const Request& request, const Image& image, const Division& n, int v, int u, int count,
                                 Floats* rgb) {
    alignas(64) float x[3][kLanes] = {};
    pixels_of_small(request, image, n, v, u, count, x);
    for (int c = 0; c < 3; c++) rgb[c] = load(x[c]);
}

// The colour map, what is erased, and the way out, of `count` pixels of row v from column u: in 0..1 when they are
// multiplied by `unit`.
template <bool antialias>
ONEWARP_INLINE void colour_and_store(const Request& request, const Image& image, const Colour& colour,
                                     const Division& n, int v, int u, int count, const Floats* sampled, float unit) {
    Floats rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = sampled[c] * set(unit);
    if (colour.curves) {
        for (int c = 0; c < 3; c++) rgb[c] = on_curve(colour.curves[c], sampled[c], unit);
    } else if (colour.has_logit) {
        const Floats before[3] = {rgb[0], rgb[1], rgb[2]};
        logit(colour, rgb);
        if (colour.steep) logit_exactly(request, image, n, v, u, count, before, rgb);
    } else if (antialias) {  // The filter's negative weights can leave 0..1, which logits never see.
        for (int c = 0; c < 3; c++) rgb[c] = min(max(rgb[c], set(0)), set(1));
    }
    if (!colour.in_curves) recolour(colour, rgb);
    if (image.erase) erase(request, image, v, lanes() + set(u + 0.5f), rgb);
    write(request, image, v, u, count, rgb);
}

// Sets the prefetcher's goal to the last source row that output row v can need.
inline void set_prefetch_goal(const Request& request, const Image& image, int v) {
    const double* h = image.h;
    Prefetcher& fetch = *image.prefetcher;
    const double left_w = h[7] * v + h[8], right_w = left_w + h[6] * request.width;
    const double left_y = h[4] * v + h[5], right_y = left_y + h[3] * request.width;
    if (!(left_w > 0 && right_w > 0)) return;
    const double left = left_y / left_w, right = right_y / right_w;
    const double y = fetch.step > 0 ? (left > right ? left : right) + 3 : (left < right ? left : right) - 3;
    const int last = image.height - 1;
    const int goal = y < 0 ? 0 : y > last ? last : static_cast<int>(y);
    if ((goal - fetch.goal) * fetch.step > 0) fetch.goal = goal;
}
inline void look_ahead(const Request& request, const Image& image, int v) {
    const int beyond = v + kRowsAhead - request.height;
    set_prefetch_goal(request, image, beyond < 0 ? v + kRowsAhead : request.height);
    if (beyond > 0 && image.following) set_prefetch_goal(request, *image.following, beyond);
}
// Asks for the next `lines`.
ONEWARP_INLINE void fetch(const Image& image, int lines) {
    lines = image.prefetcher->advance(lines);
    if (lines > 0 && image.following) image.following->prefetcher->advance(lines);
}

// The samples of `vectors` vectors of pixels of row v from column u, without their colour. Each step is done for all of
// them before the next: no vector waits for its own last result.
template <bool antialias>
ONEWARP_INLINE void sample_row(const Geometry& geometry, const Division& n, const Row& middle, int v, int u,
                               int vectors, const Knots* knots, int along, Floats (*rgb)[3]) {
    Window<antialias> windows[kVectorsTogether];
    const Floats du = set(1.f / n.u), dv = set(1.f / n.v), samples = set(1.f / (n.u * n.v));
    const bool whole = n.u * n.v == 1;
    for (int j = 0; j < n.v; j++) {
        const Row row = whole ? middle : row_at(geometry.image, v + (j + 0.5) / n.v);
        for (int i = 0; i < n.u; i++) {
            const Floats left = lanes() + set(u + (i + 0.5f) / n.u);
            for (int k = 0; k < vectors; k++) {
                fetch(geometry.image, kLinesPerVector);
                const Floats there = left + set(static_cast<float>(k * kLanes));
                if (n.precise)
                    sample_precisely<antialias>(geometry, row, there, du, dv, windows[k]);
                else
                    locate_windows<antialias>(geometry, row, there, du, dv, knots, along + k * kLanes, windows[k]);
            }
            for (int k = 0; k < vectors; k++) {
                Floats sample[3];
                filter_windows<antialias>(geometry.image, windows[k], sample);
                for (int c = 0; c < 3; c++) rgb[k][c] = i + j ? rgb[k][c] + sample[c] : sample[c];
            }
        }
    }
    if (!whole)
        for (int k = 0; k < vectors; k++)
            for (int c = 0; c < 3; c++) rgb[k][c] = rgb[k][c] * samples;
}

// Columns u0 to u1 of rows v0 to v1, all divided alike.
template <bool antialias>
inline void warp_bytes(const Request& request, const Image& image, const Division& n, int v0, int v1, int u0, int u1) {
    const Geometry geometry = geometry_of(request, image, antialias);
    Curve curves[3];
    const Colour colour = colour_of(request, image, curves);
    const bool small = image.width < 4 || image.height < 4,
               smooth = antialias && kLanes > 1 && n.u * n.v == 1 && !n.precise && !small;
    Knots knots;
    bool fitted = false;
    for (int v = v0; v < v1; v++) {
        const Row row = row_at(image, v + 0.5);
        look_ahead(request, image, v);
        for (int left = u0, right, from = u0, to = u0; left < u1; left = right) {
            if (left == to) {
                from = to, to = antialias && from + kKnotReach < u1 ? from + kKnotReach : u1;
                if (smooth) fitted = fit_filters(knots, geometry, row, from, to - from);
            }
            Floats together[kVectorsTogether][3];
            right = left + kVectorsTogether * kLanes < to ? left + kVectorsTogether * kLanes : to;
            const int vectors = (right - left + kLanes - 1) / kLanes;
            if (!small)
                sample_row<antialias>(geometry, n, row, v, left, vectors, fitted ? &knots : nullptr, left - from,
                                      together);
            for (int u = left; u < right; u += kLanes) {
                Floats* rgb = together[(u - left) / kLanes];
                const int count = right - u < kLanes ? right - u : kLanes;
                if (small) sample_small(request, image, n, v, u, count, rgb);
                colour_and_store<antialias>(request, image, colour, n, v, u, count, rgb, small ? 1 : kSampleScale);
            }
        }
    }
}

ONEWARP_END
#endif
