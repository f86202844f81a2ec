// One pixel at a time, in plain C++: for machines without the instruction sets below, and to test against.
// See cpu_kernel-inl.h for what each function is for.
#pragma once

#include <cstdint>

#include "cpu_compiler.h"
#include "cpu_types.h"

namespace onewarp {
namespace portable {

constexpr int kLanes = 1;
using Floats = float;
using Ints = int32_t;
using LaneMask = bool;

ONEWARP_INLINE Floats set(float x) { return x; }
ONEWARP_INLINE Ints seti(int x) { return x; }
ONEWARP_INLINE Floats lanes() { return 0; }
ONEWARP_INLINE Floats load(const float* p) { return *p; }
ONEWARP_INLINE void store(float* p, Floats x) { *p = x; }
ONEWARP_INLINE void storei(int32_t* p, Ints x) { *p = x; }
ONEWARP_INLINE Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
ONEWARP_INLINE Floats min(Floats a, Floats b) { return a < b ? a : b; }
ONEWARP_INLINE Floats max(Floats a, Floats b) { return a > b ? a : b; }
ONEWARP_INLINE Ints mini(Ints a, Ints b) { return a < b ? a : b; }
ONEWARP_INLINE Ints maxi(Ints a, Ints b) { return a > b ? a : b; }
ONEWARP_INLINE Floats abs(Floats a) { return __builtin_fabsf(a); }
ONEWARP_INLINE Floats floor(Floats a) { return __builtin_floorf(a); }
ONEWARP_INLINE Floats root(Floats a) { return __builtin_sqrtf(a); }
ONEWARP_INLINE Floats inverse(Floats a) { return 1 / a; }
ONEWARP_INLINE Floats rough_inverse(Floats a) { return 1 / a; }
ONEWARP_INLINE Floats good_inverse(Floats a) { return 1 / a; }
ONEWARP_INLINE Ints truncate(Floats a) { return static_cast<Ints>(a); }
ONEWARP_INLINE Ints round(Floats a) { return static_cast<Ints>(__builtin_rintf(a)); }
ONEWARP_INLINE Floats real(Ints a) { return static_cast<Floats>(a); }
ONEWARP_INLINE LaneMask less(Floats a, Floats b) { return a < b; }
ONEWARP_INLINE LaneMask less_equal(Floats a, Floats b) { return a <= b; }
ONEWARP_INLINE LaneMask equali(Ints a, Ints b) { return a == b; }
ONEWARP_INLINE LaneMask both(LaneMask a, LaneMask b) { return a && b; }
ONEWARP_INLINE bool all(LaneMask m) { return m; }
ONEWARP_INLINE unsigned bits_of(LaneMask m) { return m; }
ONEWARP_INLINE Floats select(LaneMask m, Floats a, Floats b) { return m ? a : b; }
ONEWARP_INLINE Ints selecti(LaneMask m, Ints a, Ints b) { return m ? a : b; }
ONEWARP_INLINE Floats after(Floats a) { return a; }
ONEWARP_INLINE Floats gather(const float* table, Ints index) { return table[index]; }
ONEWARP_INLINE Ints ints(Floats a) {
    Ints bits;
    __builtin_memcpy(&bits, &a, 4);
    return bits;
}
constexpr bool kLooksUpCurves = true;
ONEWARP_INLINE Floats look_up(const float* table, Ints index) { return table[index & 31]; }

// x = mantissa * 2^exponent with mantissa in [1, 2), for positive normal x.
ONEWARP_INLINE void split(Floats x, Floats& mantissa, Floats& exponent) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    exponent = static_cast<Floats>(static_cast<int>(bits >> 23) - 127);
    bits = (bits & 0x7FFFFF) | 0x3F800000;
    __builtin_memcpy(&mantissa, &bits, 4);
}

// x * 2^n for whole n; those beyond [-126, 126] count as these.
ONEWARP_INLINE Floats scale(Floats x, Floats n) {
    const uint32_t bits = static_cast<uint32_t>(static_cast<int>(min(max(n, -126.f), 126.f)) + 127) << 23;
    Floats power;
    __builtin_memcpy(&power, &bits, 4);
    return x * power;
}

// The weights of 4 x 4 pixels.
struct Weights4 {
    Floats x[4], y[4];
};
ONEWARP_INLINE Weights4 weights4(const Floats* x, const Floats* y) {
    return {{x[0] * kWeightScale, x[1] * kWeightScale, x[2] * kWeightScale, x[3] * kWeightScale},
            {y[0], y[1], y[2], y[3]}};
}
ONEWARP_INLINE Weights4 folded_weights4(const Floats* x, const Floats* y) { return weights4(x, y); }
ONEWARP_INLINE Floats total_weight(const Weights4& w) {
    return ((w.x[0] + w.x[1]) + (w.x[2] + w.x[3])) * ((w.y[0] + w.y[1]) + (w.y[2] + w.y[3]));
}
// For weights of which the inner two follow from the outer two: linear, and their second differences. The filter in x,
// r and p, is kWeightScale times as large.
ONEWARP_INLINE Weights4 exact_weights4(Floats fx, Floats r, Floats p, Floats fy, Floats first_y, Floats last_y) {
    const Floats gx = 1 - fx, first_x = gx * (p + r * gx * gx), last_x = fx * (p + r * fx * fx);
    return {{first_x, kWeightScale * gx + last_x - 2 * first_x, kWeightScale * fx + first_x - 2 * last_x, last_x},
            {first_y, 1 - fy + last_y - 2 * first_y, fy + first_y - 2 * last_y, last_y}};
}

template <bool>
ONEWARP_INLINE void dot4(const uint8_t* pixels, int stride, const int32_t* offset, const Weights4& w, Floats* rgb) {
    rgb[0] = rgb[1] = rgb[2] = 0;
    for (int j = 0; j < 4; j++) {
        const uint8_t* row = pixels + *offset + static_cast<int64_t>(j) * stride;
        for (int c = 0; c < 3; c++)
            rgb[c] += w.y[j] * (w.x[0] * row[c] + w.x[1] * row[3 + c] + w.x[2] * row[6 + c] + w.x[3] * row[9 + c]);
    }
}

template <class Make>
ONEWARP_INLINE void planes_of(const Make& pixel, Floats* rgb) {
    const Pixel only = pixel(0);
    for (int c = 0; c < 3; c++) rgb[c] = only[c];
}

struct Weights2 {
    Ints upper[2], lower[2];
};
ONEWARP_INLINE Weights2 weights2(Floats fx, Floats fy) {
    const Ints w11 = round(fx * fy * kWeightScale), w01 = round(fx * kWeightScale) - w11,
               w10 = round(fy * kWeightScale) - w11;
    return {{static_cast<Ints>(kWeightScale) - w01 - w10 - w11, w01}, {w10, w11}};
}

template <bool>
ONEWARP_INLINE void dot2(const uint8_t* pixels, int stride, const int32_t* offset, const Weights2& w, Ints* rgb) {
    const uint8_t *a = pixels + *offset, *b = a + stride;
    for (int c = 0; c < 3; c++)
        rgb[c] = w.upper[0] * a[c] + w.upper[1] * a[c + 3] + w.lower[0] * b[c] + w.lower[1] * b[c + 3];
}

template <int taps>
struct RowWeights {
    Ints w[taps];
};
template <int taps>
ONEWARP_INLINE RowWeights<taps> row_weights(const Ints* x) {
    RowWeights<taps> weights;
    for (int i = 0; i < taps; i++) weights.w[i] = x[i];
    return weights;
}
template <int taps>
ONEWARP_INLINE void dot_row(const int16_t* line, const int32_t* offset, const RowWeights<taps>& weights, Ints* rgb) {
    const int16_t* first = line + *offset / 2;
    rgb[0] = rgb[1] = rgb[2] = 0;
    for (int i = 0; i < taps; i++)
        for (int c = 0; c < 3; c++) rgb[c] += weights.w[i] * first[3 * i + c];
}

template <int taps, int shift>
ONEWARP_INLINE void put_row(const int16_t* line, const int32_t* offset, const RowWeights<taps>& weights, int,
                            uint8_t* out) {
    Ints sum[3];
    dot_row(line, offset, weights, sum);
    for (int c = 0; c < 3; c++) {
        const Ints byte = (sum[c] + (1 << (shift - 1))) >> shift;
        out[c] = static_cast<uint8_t>(byte < 0 ? 0 : byte > 255 ? 255 : byte);
    }
}
template <int taps>
ONEWARP_INLINE int blend_vectors(const uint8_t*, int, const int16_t*, int, int16_t*) {
    return 0;
}

// Three planes to kLanes interleaved pixels.
ONEWARP_INLINE void interleave(const Floats* rgb, Floats* out) { out[0] = rgb[0], out[1] = rgb[1], out[2] = rgb[2]; }

// The first `count` lanes, as the output's numbers.
ONEWARP_INLINE void put(float* p, Floats x, int, bool) { *p = x; }
ONEWARP_INLINE void put(uint16_t* p, Floats x, int, bool) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, 4);
    *p = x != x ? 0x7FC0 : static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}
ONEWARP_INLINE void put(uint8_t* p, Floats x, int, bool) { *p = static_cast<uint8_t>(round(min(max(x, 0.f), 255.f))); }

}  // namespace portable
}  // namespace onewarp
