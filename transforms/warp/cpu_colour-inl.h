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
ONEWARP_INLINE Floats log2(Floats x) {
    Floats m, e;
    split(x, m, e);
    Floats y = fma(set(-0.08161576f), m, set(0.64514216f));
    y = fma(y, m, set(-2.12067482f));
    y = fma(y, m, set(4.07009064f));
    return fma(y, m, set(-2.51285462f)) + e;
}
ONEWARP_INLINE Floats exp2(Floats x) {
    const Floats n = floor(x), f = x - n;
    Floats y = fma(set(0.07920424f), f, set(0.22433839f));
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
    Floats logit[3][4], colour[3][4], odds[3];
    Floats turns;
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

ONEWARP_INLINE void affine(const Floats (*m)[4], bool diagonal, Floats* rgb) {
    const Floats r = rgb[0], g = rgb[1], b = rgb[2];
    for (int c = 0; c < 3; c++)
        rgb[c] = diagonal ? fma(m[c][c], rgb[c], m[c][3]) : fma(m[c][0], r, fma(m[c][1], g, fma(m[c][2], b, m[c][3])));
}

// -log2 of the odds of a level, and the level of such a number.
constexpr float kLeastLevel = 1e-7f, kLog2E = 1.44269504f;
ONEWARP_INLINE Floats odds(Floats x) {
    return log2(max(set(1) - x, set(kLeastLevel)) * rough_inverse(max(x, set(kLeastLevel))));
}
ONEWARP_INLINE Floats level(Floats odds) { return good_inverse(set(1) + exp2(odds)); }

// sigmoid(M logit(x) + b) = 1 / (1 + 2^(M q - b / ln 2)) with q = log2((1 - x) / x).
ONEWARP_INLINE void logit(const Colour& colour, Floats* rgb) {
    if (colour.logit_shifts) {  // x / (x + (1 - x) e^-b), without any logarithm.
        for (int c = 0; c < 3; c++) {
            const Floats x = min(max(rgb[c], set(kLeastLevel)), set(1 - kLeastLevel));
            rgb[c] = x * good_inverse(fma(colour.odds[c], set(1) - x, x));
        }
        return;
    }
    for (int c = 0; c < 3; c++) rgb[c] = odds(rgb[c]);
    affine(colour.logit, colour.logit_diagonal, rgb);
    for (int c = 0; c < 3; c++) rgb[c] = level(rgb[c]);
}

// Of x times `unit`. Exponent and first bit of the mantissa are the number of a piece, but for the side.
ONEWARP_INLINE Floats on_curve(const Curve& curve, Floats x, float unit) {
    const Floats side = fma(x, set(unit), set(-0.5f)),
                 distance = max(fma(abs(side), set(-kCurveReach), set(kCurveMiddle)), set(kCurveStart));
    const Ints piece = ints(distance) >> 22 ^ (ints(side) >> 27 & 16);
    const Floats bent = fma(look_up(curve.at[2], piece), distance, look_up(curve.at[1], piece));
    return fma(bent, distance, look_up(curve.at[0], piece));
}

// How far the quadratic `a` has to be moved to stay within 0..1 from `start` to `end`.
ONEWARP_INLINE Floats to_range(const Floats* a, Floats start, Floats end) {
    const Floats turn =
        min(max(a[1] * set(-0.5f) * inverse(a[2]), start), end);  // If there is none, an end does no harm.
    Floats least = set(1), most = set(0);
    for (const Floats t : {start, turn, end}) {
        const Floats y = fma(fma(a[2], t, a[1]), t, a[0]);
        least = min(y, least), most = max(y, most);
    }
    return max(set(kCurveMargin) - least, set(0)) - max(most - set(1 - kCurveMargin), set(0));
}

// The logits of a channel as a curve, and whether that is good enough.
inline bool fit(float slope, float offset, Curve& curve) {
    const auto map = [&](Floats x) { return level(fma(set(slope), odds(x), set(-kLog2E * offset))); };
    Floats worst = set(0);
    for (int side = -1; side <= 1; side += 2) {
        for (int i = 0; i < kCurvePieces / 2; i += kLanes) {
            alignas(64) float from[kLanes], length[kLanes];
            for (int j = 0; j < kLanes; j++) {
                length[j] = kCurveStart * (1 << (i + j) / 2) / 2;
                from[j] = length[j] * (2 + (i + j) % 2);
            }
            const Floats start = load(from), step = load(length);
            const auto truth = [&](Floats distance) {
                const Floats x = fma(set(kCurveMiddle) - distance, set(side / kCurveReach), set(0.5f));
                return map(min(max(x, set(0)), set(1)));
            };
            const Floats t0 = fma(set(0.03f), step, start), t1 = fma(set(0.45f), step, start);
            const Floats t2 = fma(set(0.94f), step, start), y0 = truth(t0), y1 = truth(t1), y2 = truth(t2);
            const Floats rise = (y1 - y0) * inverse(t1 - t0),
                         bend = ((y2 - y1) * inverse(t2 - t1) - rise) * inverse(t2 - t0);
            Floats a[3] = {fma(fma(bend, t1, -rise), t0, y0), fma(-bend, t0 + t1, rise), bend};
            a[0] = a[0] + to_range(a, start, start + step);
            for (const float part : {0.f, 0.22f, 0.72f, 1.f}) {
                const Floats t = fma(set(part), step, start);
                worst = max(worst, abs(fma(fma(a[2], t, a[1]), t, a[0]) - truth(t)));
            }
            alignas(64) float lanes[kLanes];
            for (int k = 0; k < 3; k++) {
                store(lanes, a[k]);
                // kCurveStart begins at exponent 118, whose number, doubled, ends in 12 of 32.
                for (int j = 0; j < kLanes; j++)
                    curve.at[k][(12 + (side < 0 ? 16 : 0) + i + j) % kCurvePieces] = lanes[j];
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
    Colour colour{};
    // Left out where it changes nothing, but for the numbers that it keeps from 0 and 1.
    colour.has_logit = image.logit && !is_identity(image.logit);
    colour.logit_diagonal = colour.has_logit && is_diagonal(image.logit);
    colour.logit_shifts = colour.has_logit && shifts(image.logit);
    colour.steep = colour.has_logit && is_steep(image.logit);
    colour.colour_diagonal = is_diagonal(image.colour);
    const float unit = request.number == Number::uint8 ? 255.f : 1.f;
    for (int c = 0; c < 3; c++) {
        for (int k = 0; k < 4; k++) {
            if (colour.has_logit) colour.logit[c][k] = set(image.logit[4 * c + k] * (k == 3 ? -kLog2E : 1.f));
            colour.colour[c][k] = set(image.colour[4 * c + k] * unit);
        }
        if (colour.logit_shifts) colour.odds[c] = set(__builtin_fminf(__builtin_expf(-image.logit[4 * c + 3]), 1e30f));
    }
    colour.hue = image.hue;
    if (image.hue) colour.turns = set(*image.hue * 6);
    colour.table = image.table;
    const bool simple = !colour.hue && !colour.table && colour.colour_diagonal;
    if (kLooksUpCurves && colour.logit_diagonal && !colour.logit_shifts && !colour.steep &&
        draw_curves(image.logit, simple ? image.colour : nullptr, unit, curves))
        colour.curves = curves, colour.in_curves = simple;
    return colour;
}

ONEWARP_INLINE void turn_hue(const Colour& colour, Floats* rgb) {
    const Floats value = max(max(rgb[0], rgb[1]), rgb[2]), chroma = value - min(min(rgb[0], rgb[1]), rgb[2]);
    const Floats per = set(1) / max(chroma, set(1e-20f));
    const Floats green = fma(rgb[2] - rgb[0], per, set(2)), blue = fma(rgb[0] - rgb[1], per, set(4));
    Floats sixth = select(less_equal(value, rgb[1]), green, blue);
    sixth = select(less_equal(value, rgb[0]), (rgb[1] - rgb[2]) * per, sixth) + colour.turns;
    for (int c = 0; c < 3; c++) {
        Floats k = sixth + set(5.f - 2.f * c);
        k = fma(set(-6), floor(k * set(1.f / 6)), k);
        rgb[c] = value - chroma * max(min(min(k, set(4) - k), set(1)), set(0));
    }
}

ONEWARP_INLINE void look_up(const Colour& colour, Floats* rgb) {
    for (int c = 0; c < 3; c++) {
        const Floats grey = min(max(rgb[c], set(0)), set(1)) * set(255);
        const Ints index = mini(truncate(grey), seti(254));
        const Floats low = gather(colour.table, index), high = gather(colour.table + 1, index);
        rgb[c] = fma(grey - real(index), high - low, low);
    }
}

ONEWARP_INLINE void recolour(const Colour& colour, Floats* rgb) {
    if (colour.hue) turn_hue(colour, rgb);
    if (colour.table) look_up(colour, rgb);
    affine(colour.colour, colour.colour_diagonal, rgb);
}

ONEWARP_END
#endif
