// Weighted sums of windows of bytes by multiplications of 16 bits, the same for AVX2 and AVX-512: Shorts hold four
// windows of 16 bytes for every four pixels.
// See cpu_kernel-inl.h for what each function is for.
//
// Included once for each instruction set: see cpu_target-inl.h.
#ifndef ONEWARP_TARGET
#define ONEWARP_TARGET ONEWARP_AVX2  // Plain C++ has no such vectors.
#endif
#if defined(ONEWARP_WORDS_INL_H) == defined(ONEWARP_TOGGLE)
#ifdef ONEWARP_WORDS_INL_H
#undef ONEWARP_WORDS_INL_H
#else
#define ONEWARP_WORDS_INL_H
#endif

#include "cpu_target-inl.h"
#include "cpu_types.h"

#if ONEWARP_TARGET != ONEWARP_PORTABLE
ONEWARP_BEGIN

// Weights of columns, two side by side in 16 bits, as vpmaddwd wants them, and of rows.
struct Weights4 {
    Shorts x01, x23;
    Floats y[4];
};

// From 2^23 to 2^24 a float32 is an integer, its last bits. What is added to the middle of that range, 1.5 x 2^23, is
// rounded half to even, and its last 16 bits are an integer with a sign.
constexpr float kRoundingBias = 0x1.8p23f;
// The product a b, added to an integer `sum`, so rounded.
ONEWARP_INLINE Shorts rounded16(Floats a, Floats b, float sum = 0) {
    return bits(ints(fma(a, b, set(kRoundingBias + sum))));
}

// For weights of which the inner two follow from the outer two: linear, and their second differences. In x, of the
// filter r, p that is kWeightScale times as large, they are made of integers that sum to kWeightScale exactly, so that
// a plain area stays plain.
ONEWARP_INLINE Weights4 exact_weights4(Floats fx, Floats r, Floats p, Floats fy, Floats first_y, Floats last_y) {
    const Floats gx = set(1) - fx;
    const Shorts first = rounded16(gx, fma(r, gx * gx, p)), last = rounded16(fx, fma(r, fx * fx, p));
    const Shorts left = rounded16(fx, set(-kWeightScale), kWeightScale),
                 right = subtract16(bits(seti(static_cast<int>(kWeightScale))), left);
    const Shorts more = subtract16(last, first);
    return {beside(ints(first), ints(add16(subtract16(left, first), more))),
            beside(ints(subtract16(subtract16(right, last), more)), ints(last)),
            {first_y, fma(first_y, set(-2), set(1) - fy + last_y), fma(last_y, set(-2), fy + first_y), last_y}};
}
ONEWARP_INLINE Weights4 weights4(const Floats* x, const Floats* y) {
    const Floats one = set(kWeightScale);
    return {beside(round(x[0] * one), round(x[1] * one)),
            beside(round(x[2] * one), round(x[3] * one)),
            {y[0], y[1], y[2], y[3]}};
}
// For weights that sum to one: their integers do so exactly, as above.
ONEWARP_INLINE Weights4 folded_weights4(const Floats* x, const Floats* y) {
    const Floats one = set(kWeightScale);
    const Ints a = round(x[0] * one), c = round(x[2] * one), d = round(x[3] * one);
    return {beside(a, seti(static_cast<int>(kWeightScale)) - a - c - d), beside(c, d), {y[0], y[1], y[2], y[3]}};
}
// Times kWeightScale, as the sums below are.
ONEWARP_INLINE Floats total_weight(const Weights4& w) {
    const Shorts ones = beside(seti(1), seti(1));
    return real(add_pairs(pairs(w.x01, ones), w.x23, ones)) * ((w.y[0] + w.y[1]) + (w.y[2] + w.y[3]));
}

// Vectors of integers, moved as if they were floats.
ONEWARP_INLINE void planes(const Ints* a, Ints* rgb) {
    const Floats moved[4] = {floats(a[0]), floats(a[1]), floats(a[2]), floats(a[3])};
    Floats plane[3];
    planes(moved, plane);
    for (int c = 0; c < 3; c++) rgb[c] = ints(plane[c]);
}

// Pixels 0 and 1, or 2 and 3, of a window: their reds, greens and blues side by side in 16 bits.
ONEWARP_INLINE Shorts pixels01(Shorts windows) { return pick(windows, 0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1); }
ONEWARP_INLINE Shorts pixels23(Shorts windows) { return pick(windows, 6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1); }

template <int k, bool no_overread>
ONEWARP_INLINE Floats dot4_of(const uint8_t* pixels, int stride, const int32_t* offset, const Weights4& w) {
    const Shorts x01 = spread<k>(w.x01), x23 = spread<k>(w.x23);
    Floats sum = set(0);
    for (int j = 0; j < 4; j++, pixels += stride) {
        const Shorts row = windows<k, no_overread>(pixels, offset);
        const Ints across = add_pairs(pairs(pixels01(row), x01), pixels23(row), x23);
        sum = fma(real(across), spread<k>(w.y[j]), sum);
    }
    return sum;
}
template <bool no_overread>
ONEWARP_INLINE void dot4(const uint8_t* pixels, int stride, const int32_t* offset, const Weights4& w, Floats* rgb) {
    const Floats a[4] = {
        dot4_of<0, no_overread>(pixels, stride, offset, w), dot4_of<1, no_overread>(pixels, stride, offset, w),
        dot4_of<2, no_overread>(pixels, stride, offset, w), dot4_of<3, no_overread>(pixels, stride, offset, w)};
    planes(a, rgb);
}

// Pixels of floats, of which `pixel(i)` makes that of lane i, to three vectors.
template <class Make>
ONEWARP_INLINE void planes_of(const Make& pixel, Floats* rgb) {
    Floats a[4];
    for (int k = 0; k < 4; k++) a[k] = side_by_side([&](int q) { return pixel(4 * q + k); });
    planes(a, rgb);
}

struct Weights2 {
    Shorts upper, lower;
};
ONEWARP_INLINE Weights2 weights2(Floats fx, Floats fy) {
    const Floats one = set(kWeightScale);
    const Ints w11 = round(fx * fy * one), w01 = round(fx * one) - w11, w10 = round(fy * one) - w11;
    return {beside(seti(static_cast<int>(kWeightScale)) - w01 - w10 - w11, w01), beside(w10, w11)};
}

template <int k, bool no_overread>
ONEWARP_INLINE Ints dot2_of(const uint8_t* pixels, int stride, const int32_t* offset, const Weights2& w) {
    const Shorts square = squares<k, no_overread>(pixels, stride, offset);
    const Ints upper = pairs(pixels01(square), spread<k>(w.upper));
    return add_pairs(upper, pick(square, 8, -1, 11, -1, 9, -1, 12, -1, 10, -1, 13, -1), spread<k>(w.lower));
}
template <bool no_overread>
ONEWARP_INLINE void dot2(const uint8_t* pixels, int stride, const int32_t* offset, const Weights2& w, Ints* rgb) {
    const Ints a[4] = {
        dot2_of<0, no_overread>(pixels, stride, offset, w), dot2_of<1, no_overread>(pixels, stride, offset, w),
        dot2_of<2, no_overread>(pixels, stride, offset, w), dot2_of<3, no_overread>(pixels, stride, offset, w)};
    planes(a, rgb);
}

// 13 bit weights of the two or four pixels of a row that each output pixel sees.
template <int taps>
struct RowWeights {
    Shorts w[taps / 2][4];  // As dot_row wants them for every fourth pixel.
};
template <int taps>
ONEWARP_INLINE RowWeights<taps> row_weights(const Ints* x) {
    RowWeights<taps> weights;
    for (int i = 0; i < taps / 2; i++) {
        const Shorts pair = beside(x[2 * i], x[2 * i + 1]);
        Shorts* w = weights.w[i];
        w[0] = spread<0>(pair), w[1] = spread<1>(pair), w[2] = spread<2>(pair), w[3] = spread<3>(pair);
    }
    return weights;
}

template <int k, int taps>
ONEWARP_INLINE Ints dot_row_of(const int16_t* line, const int32_t* offset, const RowWeights<taps>& weights) {
    Ints sum = seti(0);
    for (int i = 0; i < taps / 2; i++) {  // Two pixels are six words.
        const Shorts pair = windows<k, false>(reinterpret_cast<const uint8_t*>(line + 6 * i), offset);
        sum = add_pairs(sum, pick(pair, 0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11), weights.w[i][k]);
    }
    return sum;
}
template <int taps>
ONEWARP_INLINE void dot_row(const int16_t* line, const int32_t* offset, const RowWeights<taps>& weights, Ints* rgb) {
    const Ints a[4] = {dot_row_of<0>(line, offset, weights), dot_row_of<1>(line, offset, weights),
                       dot_row_of<2>(line, offset, weights), dot_row_of<3>(line, offset, weights)};
    planes(a, rgb);
}
// The same as bytes, red, green and blue by turns: `count` pixels, of sums that are `shift` bits finer.
template <int taps, int shift>
ONEWARP_INLINE void put_row(const int16_t* line, const int32_t* offset, const RowWeights<taps>& weights, int count,
                            uint8_t* out) {
    const Ints half = seti(1 << (shift - 1));
    const Shorts four = pack(
        (dot_row_of<0>(line, offset, weights) + half) >> shift, (dot_row_of<1>(line, offset, weights) + half) >> shift,
        (dot_row_of<2>(line, offset, weights) + half) >> shift, (dot_row_of<3>(line, offset, weights) + half) >> shift);
    put_pixels(out, pick(four, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14), count);
}

// Rows of bytes blended into one of words, as many as fit into whole vectors; returns how many. See
// cpu_axis_aligned-inl.h.
template <int taps>
ONEWARP_INLINE int blend_vectors(const uint8_t* first, int stride, const int16_t* weights, int count, int16_t* out) {
    constexpr int middle = taps / 2 - 1;
    Shorts w[taps];
    for (int j = 0; j < taps; j++) w[j] = beside(seti(weights[j]), seti(weights[j]));
    int i = 0;
    for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
        const Shorts here = widen(first + middle * stride + i);
        Shorts sum = shift16<6>(here);
        for (int j = 0; j < taps; j++) {
            if (j == middle) continue;
            const Shorts difference = subtract16(widen(first + j * stride + i), here);
            sum = add16(sum, product16(shift16<7>(difference), w[j]));
        }
        store16(out + i, sum);
    }
    return i;
}

ONEWARP_END
#endif

#endif
