// The colour map of vectors of pixels, written once over the vectors of cpu_portable.h, cpu_avx2.h and cpu_avx512.h.
//
// Included once for each instruction set: see cpu_target-inl.h.
#if defined(ONEWARP_COLOUR_INL_H) == defined(ONEWARP_TOGGLE)
#ifdef ONEWARP_COLOUR_INL_H
#undef ONEWARP_COLOUR_INL_H
#else
#define ONEWARP_COLOUR_INL_H
#endif

#include <initializer_list>

#include "cpu_target-inl.h"
#include "cpu_types.h"

ONEWARP_BEGIN

// log2 on positive numbers, and 2^x: minimax polynomials on one octave, to 9e-5 and to 1e-4 of the value.
ONEWARP_INLINE F log2(F x) {
    F m, e;
    split(x, m, e);
    F y = fma(set(-0.08161576f), m, set(0.64514216f));
    y = fma(y, m, set(-2.12067482f));
    y = fma(y, m, set(4.07009064f));
    return fma(y, m, set(-2.51285462f)) + e;
}
ONEWARP_INLINE F exp2(F x) {
    const F n = floor(x), f = x - n;
    F y = fma(set(0.07920424f), f, set(0.22433839f));
    y = fma(y, f, set(0.69645737f));
    return scale(fma(y, f, set(0.99989297f)), n);
}

// A map of one channel from 0..1, in quadratics of a level's distance from 1/2, counted backwards: from 1/2 down to
// kCurveStart at black and white. That is eight octaves on either side, of two pieces each: in an octave of the
// distance a map of logits is smooth. kCurveMiddle is the float32 before 1/2, so that every distance is in the last
// octave or below it.
constexpr int kCurvePieces = 32;
constexpr float kCurveStart = 1.f / 512, kCurveReach = 1 - 2 * kCurveStart, kCurveMiddle = 0.49999997f;
// What a quadratic may be wrong by, .15 grey levels, and how far within 0..1 it is kept, some roundings of float32.
constexpr float kCurveError = 0.15f / 255, kCurveMargin = 1e-6f;
struct Curve {
    alignas(64) float at[3][kCurvePieces];  // What the powers of the distance are multiplied by.
};

// One image's colour map, as far as it is there.
struct Colour {
    bool has_logit, logit_diagonal, colour_diagonal;
    bool logit_shifts;  // All that happens to odds is to be multiplied.
    bool steep;         // Near black or white, rounding errors would come out of the logits as grey levels.
    F logit[3][4], colour[3][4], odds[3];
    F turns;
    const float *hue, *table;
    const Curve* curves;  // Of the channels, if logits are looked up,
    bool in_curves;       // and with them all that follows.
};
ONEWARP_INLINE bool is_diagonal(const float* m) {
    return m[1] == 0 && m[2] == 0 && m[4] == 0 && m[6] == 0 && m[8] == 0 && m[9] == 0;
}
ONEWARP_INLINE bool is_identity(const float* m) {
    return is_diagonal(m) && m[0] == 1 && m[5] == 1 && m[10] == 1 && m[3] == 0 && m[7] == 0 && m[11] == 0;
}

ONEWARP_INLINE void affine(const F (*m)[4], bool diagonal, F* rgb) {
    const F r = rgb[0], g = rgb[1], b = rgb[2];
    for (int c = 0; c < 3; c++)
        rgb[c] = diagonal ? fma(m[c][c], rgb[c], m[c][3]) : fma(m[c][0], r, fma(m[c][1], g, fma(m[c][2], b, m[c][3])));
}

// -log2 of the odds of a level, and the level of such a number.
constexpr float kLeastLevel = 1e-7f, kLog2E = 1.44269504f;
ONEWARP_INLINE F odds(F x) { return log2(max(set(1) - x, set(kLeastLevel)) * rough_inverse(max(x, set(kLeastLevel)))); }
ONEWARP_INLINE F level(F odds) { return good_inverse(set(1) + exp2(odds)); }

// sigmoid(M logit(x) + b) = 1 / (1 + 2^(M q - b / ln 2)) with q = log2((1 - x) / x).
ONEWARP_INLINE void logit(const Colour& C, F* rgb) {
    if (C.logit_shifts) {  // x / (x + (1 - x) e^-b), without any logarithm.
        for (int c = 0; c < 3; c++) {
            const F x = min(max(rgb[c], set(kLeastLevel)), set(1 - kLeastLevel));
            rgb[c] = x * good_inverse(fma(C.odds[c], set(1) - x, x));
        }
        return;
    }
    for (int c = 0; c < 3; c++) rgb[c] = odds(rgb[c]);
    affine(C.logit, C.logit_diagonal, rgb);
    for (int c = 0; c < 3; c++) rgb[c] = level(rgb[c]);
}

// Of x times `unit`. Exponent and first bit of the mantissa are the number of a piece, but for the side.
ONEWARP_INLINE F on_curve(const Curve& curve, F x, float unit) {
    const F side = fma(x, set(unit), set(-0.5f)),
            distance = max(fma(abs(side), set(-kCurveReach), set(kCurveMiddle)), set(kCurveStart));
    const I piece = ints(distance) >> 22 ^ (ints(side) >> 27 & 16);
    const F bent = fma(look_up(curve.at[2], piece), distance, look_up(curve.at[1], piece));
    return fma(bent, distance, look_up(curve.at[0], piece));
}

// How far the quadratic `a` has to be moved to stay within 0..1 from `start` to `end`.
ONEWARP_INLINE F to_range(const F* a, F start, F end) {
    const F turn = min(max(a[1] * set(-0.5f) * inverse(a[2]), start), end);  // If there is none, an end does no harm.
    F least = set(1), most = set(0);
    for (const F t : {start, turn, end}) {
        const F y = fma(fma(a[2], t, a[1]), t, a[0]);
        least = min(y, least), most = max(y, most);
    }
    return max(set(kCurveMargin) - least, set(0)) - max(most - set(1 - kCurveMargin), set(0));
}

// The logits of a channel as a curve, and whether that is good enough.
inline bool fit(float slope, float offset, Curve& curve) {
    const auto map = [&](F x) { return level(fma(set(slope), odds(x), set(-kLog2E * offset))); };
    F worst = set(0);
    for (int side = -1; side <= 1; side += 2) {
        for (int i = 0; i < kCurvePieces / 2; i += L) {
            alignas(64) float from[L], length[L];
            for (int j = 0; j < L; j++) {
                length[j] = kCurveStart * (1 << (i + j) / 2) / 2;
                from[j] = length[j] * (2 + (i + j) % 2);
            }
            const F start = load(from), step = load(length);
            const auto truth = [&](F distance) {
                const F x = fma(set(kCurveMiddle) - distance, set(side / kCurveReach), set(0.5f));
                return map(min(max(x, set(0)), set(1)));
            };
            const F t0 = fma(set(0.03f), step, start), t1 = fma(set(0.45f), step, start);
            const F t2 = fma(set(0.94f), step, start), y0 = truth(t0), y1 = truth(t1), y2 = truth(t2);
            const F rise = (y1 - y0) * inverse(t1 - t0),
                    bend = ((y2 - y1) * inverse(t2 - t1) - rise) * inverse(t2 - t0);
            F a[3] = {fma(fma(bend, t1, -rise), t0, y0), fma(-bend, t0 + t1, rise), bend};
            a[0] = a[0] + to_range(a, start, start + step);
            for (const float part : {0.f, 0.22f, 0.72f, 1.f}) {
                const F t = fma(set(part), step, start);
                worst = max(worst, abs(fma(fma(a[2], t, a[1]), t, a[0]) - truth(t)));
            }
            alignas(64) float lanes[L];
            for (int k = 0; k < 3; k++) {
                store(lanes, a[k]);
                // kCurveStart begins at exponent 118, whose number, doubled, ends in 12 of 32.
                for (int j = 0; j < L; j++) curve.at[k][(12 + (side < 0 ? 16 : 0) + i + j) % kCurvePieces] = lanes[j];
            }
        }
    }
    return all(less(worst, set(kCurveError)));
}

// Odds that are only multiplied need no logarithm, and near black or white rounding errors can come out of steep logits
// as grey levels.
ONEWARP_INLINE bool shifts(const float* logit) {
    return is_diagonal(logit) && logit[0] == 1 && logit[5] == 1 && logit[10] == 1;
}
ONEWARP_INLINE bool is_steep(const float* logit) {
    return !(is_diagonal(logit) && logit[0] >= 0.75f && logit[5] >= 0.75f && logit[10] >= 0.75f);
}

// Logits as curves, followed by a scale and an offset if there is nothing in between; whether they are good enough.
ONEWARP_NOINLINE bool draw_curves(const float* logit, const float* colour, float unit, Curve* curves) {
    for (int c = 0; c < 3; c++) {
        if (c && logit[5 * c] == logit[0] && logit[4 * c + 3] == logit[3])
            curves[c] = curves[0];
        else if (!fit(logit[5 * c], logit[4 * c + 3], curves[c]))
            return false;
    }
    for (int c = 0; c < 3 && colour; c++) {
        for (auto& power : curves[c].at)
            for (float& a : power) a *= colour[5 * c] * unit;
        for (float& a : curves[c].at[0]) a += colour[4 * c + 3] * unit;
    }
    return true;
}

// `curves` is room for those of three channels.
ONEWARP_INLINE Colour colour_of(const Request& request, const Image& image, Curve* curves) {
    Colour C{};
    // Left out where it changes nothing, but for the numbers that it keeps from 0 and 1.
    C.has_logit = image.logit && !is_identity(image.logit);
    C.logit_diagonal = C.has_logit && is_diagonal(image.logit);
    C.logit_shifts = C.has_logit && shifts(image.logit);
    C.steep = C.has_logit && is_steep(image.logit);
    C.colour_diagonal = is_diagonal(image.colour);
    const float unit = request.number == Number::uint8 ? 255.f : 1.f;
    for (int c = 0; c < 3; c++) {
        for (int k = 0; k < 4; k++) {
            if (C.has_logit) C.logit[c][k] = set(image.logit[4 * c + k] * (k == 3 ? -kLog2E : 1.f));
            C.colour[c][k] = set(image.colour[4 * c + k] * unit);
        }
        if (C.logit_shifts) C.odds[c] = set(__builtin_fminf(__builtin_expf(-image.logit[4 * c + 3]), 1e30f));
    }
    C.hue = image.hue;
    if (image.hue) C.turns = set(*image.hue * 6);
    C.table = image.table;
    const bool simple = !C.hue && !C.table && C.colour_diagonal;
    if (kLooksUpCurves && C.logit_diagonal && !C.logit_shifts && !C.steep &&
        draw_curves(image.logit, simple ? image.colour : nullptr, unit, curves))
        C.curves = curves, C.in_curves = simple;
    return C;
}

ONEWARP_INLINE void turn_hue(const Colour& C, F* rgb) {
    const F value = max(max(rgb[0], rgb[1]), rgb[2]), chroma = value - min(min(rgb[0], rgb[1]), rgb[2]);
    const F per = set(1) / max(chroma, set(1e-20f));
    const F green = fma(rgb[2] - rgb[0], per, set(2)), blue = fma(rgb[0] - rgb[1], per, set(4));
    F sixth = select(less_equal(value, rgb[1]), green, blue);
    sixth = select(less_equal(value, rgb[0]), (rgb[1] - rgb[2]) * per, sixth) + C.turns;
    for (int c = 0; c < 3; c++) {
        F k = sixth + set(5.f - 2.f * c);
        k = fma(set(-6), floor(k * set(1.f / 6)), k);
        rgb[c] = value - chroma * max(min(min(k, set(4) - k), set(1)), set(0));
    }
}

ONEWARP_INLINE void look_up(const Colour& C, F* rgb) {
    for (int c = 0; c < 3; c++) {
        const F grey = min(max(rgb[c], set(0)), set(1)) * set(255);
        const I index = mini(truncate(grey), seti(254));
        const F low = gather(C.table, index), high = gather(C.table + 1, index);
        rgb[c] = fma(grey - real(index), high - low, low);
    }
}

ONEWARP_INLINE void recolour(const Colour& C, F* rgb) {
    if (C.hue) turn_hue(C, rgb);
    if (C.table) look_up(C, rgb);
    affine(C.colour, C.colour_diagonal, rgb);
}

ONEWARP_END
#endif
