// Eight pixels at a time: AVX2 and FMA.
// See cpu_kernel-inl.h for what each function is for.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu_compiler.h"
#include "cpu_types.h"

ONEWARP_FOR_AVX2
namespace onewarp {
namespace avx2 {

constexpr int kLanes = 8;
using Floats = __m256;
typedef int32_t Ints __attribute__((vector_size(32)));
using LaneMask = __m256;

ONEWARP_INLINE __m256i bits(Ints a) { return reinterpret_cast<__m256i>(a); }
ONEWARP_INLINE Ints ints(__m256i a) { return reinterpret_cast<Ints>(a); }
ONEWARP_INLINE Floats floats(Ints a) { return reinterpret_cast<Floats>(a); }
ONEWARP_INLINE Ints ints(Floats a) { return reinterpret_cast<Ints>(a); }

ONEWARP_INLINE Floats set(float x) { return _mm256_set1_ps(x); }
ONEWARP_INLINE Ints seti(int x) { return ints(_mm256_set1_epi32(x)); }
ONEWARP_INLINE Floats lanes() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
ONEWARP_INLINE Floats load(const float* p) { return _mm256_loadu_ps(p); }
ONEWARP_INLINE void store(float* p, Floats x) { _mm256_storeu_ps(p, x); }
ONEWARP_INLINE void storei(int32_t* p, Ints x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bits(x)); }
ONEWARP_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
ONEWARP_INLINE Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
ONEWARP_INLINE Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
ONEWARP_INLINE Ints mini(Ints a, Ints b) { return ints(_mm256_min_epi32(bits(a), bits(b))); }
ONEWARP_INLINE Ints maxi(Ints a, Ints b) { return ints(_mm256_max_epi32(bits(a), bits(b))); }
ONEWARP_INLINE Floats abs(Floats a) { return _mm256_andnot_ps(set(-0.f), a); }
ONEWARP_INLINE Floats floor(Floats a) { return _mm256_floor_ps(a); }
ONEWARP_INLINE Floats root(Floats a) { return a * _mm256_rsqrt_ps(max(a, set(1e-30f))); }
ONEWARP_INLINE Floats rough_inverse(Floats a) { return _mm256_rcp_ps(a); }
ONEWARP_INLINE Floats inverse(Floats a) {
    const Floats r = _mm256_rcp_ps(a);
    return r * _mm256_fnmadd_ps(a, r, set(2));
}
ONEWARP_INLINE Floats good_inverse(Floats a) { return inverse(a); }
ONEWARP_INLINE Ints truncate(Floats a) { return ints(_mm256_cvttps_epi32(a)); }
ONEWARP_INLINE Ints round(Floats a) { return ints(_mm256_cvtps_epi32(a)); }
ONEWARP_INLINE Floats real(Ints a) { return _mm256_cvtepi32_ps(bits(a)); }
ONEWARP_INLINE LaneMask less(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
ONEWARP_INLINE LaneMask less_equal(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
ONEWARP_INLINE LaneMask equali(Ints a, Ints b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(bits(a), bits(b))); }
ONEWARP_INLINE LaneMask both(LaneMask a, LaneMask b) { return _mm256_and_ps(a, b); }
ONEWARP_INLINE unsigned bits_of(LaneMask m) { return static_cast<unsigned>(_mm256_movemask_ps(m)); }
ONEWARP_INLINE bool all(LaneMask m) { return bits_of(m) == 0xFF; }
ONEWARP_INLINE Floats select(LaneMask m, Floats a, Floats b) { return _mm256_blendv_ps(b, a, m); }
ONEWARP_INLINE Ints selecti(LaneMask m, Ints a, Ints b) {
    return ints(_mm256_blendv_epi8(bits(b), bits(a), _mm256_castps_si256(m)));
}
ONEWARP_INLINE Floats after(Floats a) { return _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 7)); }
ONEWARP_INLINE Floats gather(const float* table, Ints index) { return _mm256_i32gather_ps(table, bits(index), 4); }
constexpr bool kLooksUpCurves = false;  // Gathering takes longer than logits do.
ONEWARP_INLINE Floats look_up(const float* table, Ints index) { return gather(table, index & 31); }

ONEWARP_INLINE void split(Floats x, Floats& mantissa, Floats& exponent) {
    const __m256i b = _mm256_castps_si256(x);
    exponent = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(b, 23), _mm256_set1_epi32(127)));
    const __m256i fraction = _mm256_and_si256(b, _mm256_set1_epi32(0x7FFFFF));
    mantissa = _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3F800000)));
}
ONEWARP_INLINE Floats scale(Floats x, Floats n) {
    const __m256i biased =
        _mm256_add_epi32(_mm256_cvtps_epi32(min(max(n, set(-126)), set(126))), _mm256_set1_epi32(127));
    return x * _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

// What cpu_words-inl.h is made of, as for AVX-512.
using Shorts = __m256i;
ONEWARP_INLINE Shorts beside(Ints a, Ints b) {
    return _mm256_blend_epi16(bits(a), _mm256_slli_epi32(bits(b), 16), 0xAA);
}
template <class... Bytes>
ONEWARP_INLINE Shorts pick(Shorts windows, Bytes... twelve) {
    return _mm256_shuffle_epi8(windows, _mm256_broadcastsi128_si256(_mm_setr_epi8(twelve..., -1, -1, -1, -1)));
}
template <int k>
ONEWARP_INLINE Shorts spread(Shorts a) {
    return _mm256_shuffle_epi32(a, k * 0x55);
}
template <int k>
ONEWARP_INLINE Floats spread(Floats a) {
    return _mm256_permute_ps(a, k * 0x55);
}
template <int by>
ONEWARP_INLINE Shorts shift16(Shorts a) {
    return _mm256_slli_epi16(a, by);
}
ONEWARP_INLINE Shorts widen(const uint8_t* p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
ONEWARP_INLINE void store16(int16_t* p, Shorts a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
ONEWARP_INLINE Shorts add16(Shorts a, Shorts b) { return _mm256_add_epi16(a, b); }
ONEWARP_INLINE Shorts subtract16(Shorts a, Shorts b) { return _mm256_sub_epi16(a, b); }
ONEWARP_INLINE Shorts product16(Shorts a, Shorts b) { return _mm256_mulhrs_epi16(a, b); }
ONEWARP_INLINE Ints pairs(Shorts a, Shorts b) { return ints(_mm256_madd_epi16(a, b)); }
ONEWARP_INLINE Ints add_pairs(Ints sum, Shorts a, Shorts b) { return sum + ints(_mm256_madd_epi16(a, b)); }

ONEWARP_INLINE Shorts two(__m128i a, __m128i b) { return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1); }
template <class Make>
ONEWARP_INLINE Floats side_by_side(const Make& half) {
    return _mm256_castsi256_ps(two(reinterpret_cast<__m128i>(half(0)), reinterpret_cast<__m128i>(half(1))));
}
template <bool no_overread>
ONEWARP_INLINE __m128i window(const uint8_t* p) {
    return no_overread ? _mm_maskload_epi32(reinterpret_cast<const int*>(p), _mm_setr_epi32(-1, -1, -1, 0))
                       : _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
template <int k, bool no_overread>
ONEWARP_INLINE Shorts windows(const uint8_t* p, const int32_t* o) {
    return two(window<no_overread>(p + o[k]), window<no_overread>(p + o[4 + k]));
}
// Six bytes of two rows, which begin the halves of the result.
template <bool no_overread>
ONEWARP_INLINE __m128i two_rows(const uint8_t* p, int stride) {
    const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    if (!no_overread)
        return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(a), reinterpret_cast<const double*>(p + stride)));
    // The lower row may be the last one, but a row lies before it.
    const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + stride - 2));
    return _mm_unpacklo_epi64(a, _mm_srli_epi64(b, 16));
}
template <int k, bool no_overread>
ONEWARP_INLINE Shorts squares(const uint8_t* p, int stride, const int32_t* o) {
    return two(two_rows<no_overread>(p + o[k], stride), two_rows<no_overread>(p + o[4 + k], stride));
}

// Dwords 0, 1, 2 of each half of a[k] are red, green, blue of pixel 4 q + k: to three vectors of 8 pixels.
ONEWARP_INLINE void planes(const Floats* a, Floats* rgb) {
    const Floats t0 = _mm256_unpacklo_ps(a[0], a[1]), t1 = _mm256_unpacklo_ps(a[2], a[3]);
    const Floats t2 = _mm256_unpackhi_ps(a[0], a[1]), t3 = _mm256_unpackhi_ps(a[2], a[3]);
    rgb[0] = _mm256_shuffle_ps(t0, t1, 0x44), rgb[1] = _mm256_shuffle_ps(t0, t1, 0xEE);
    rgb[2] = _mm256_shuffle_ps(t2, t3, 0x44);
}

ONEWARP_INLINE Shorts pack(Ints a, Ints b, Ints c, Ints d) {
    return _mm256_packus_epi16(_mm256_packs_epi32(bits(a), bits(b)), _mm256_packs_epi32(bits(c), bits(d)));
}
ONEWARP_INLINE void put_pixels(uint8_t* p, Shorts twelves, int count) {
    alignas(32) uint8_t pixels[32];
    const __m256i dwords = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
    _mm256_store_si256(reinterpret_cast<__m256i*>(pixels), _mm256_permutevar8x32_epi32(twelves, dwords));
    if (count == kLanes)
        __builtin_memcpy(p, pixels, 3 * kLanes);
    else
        __builtin_memcpy(p, pixels, 3 * count);
}

ONEWARP_INLINE void interleave(const Floats* rgb, Floats* out) {
    alignas(32) float plane[3][kLanes], mixed[3 * kLanes];
    for (int c = 0; c < 3; c++) store(plane[c], rgb[c]);
    for (int i = 0; i < kLanes; i++)
        for (int c = 0; c < 3; c++) mixed[3 * i + c] = plane[c][i];
    for (int p = 0; p < 3; p++) out[p] = load(mixed + p * kLanes);
}

template <class T, class Shorts>
ONEWARP_INLINE void put_first(T* p, const Shorts& whole, int count) {
    T lane[kLanes];
    __builtin_memcpy(lane, &whole, sizeof lane);
    for (int i = 0; i < count; i++) p[i] = lane[i];
}
ONEWARP_INLINE void put(float* p, Floats x, int count, bool) {
    if (count == kLanes) return store(p, x);
    put_first(p, x, count);
}
ONEWARP_INLINE void put(uint16_t* p, Floats x, int count, bool) {
    const __m256i b = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(b, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_srli_epi32(_mm256_add_epi32(b, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
    r = _mm256_blendv_epi8(r, _mm256_set1_epi32(0x7FC0), _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    put_first(p, _mm256_castsi256_si128(packed), count);
}
ONEWARP_INLINE void put(uint8_t* p, Floats x, int count, bool) {
    const __m256i r = _mm256_cvtps_epi32(min(max(x, set(0)), set(255)));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_castsi256_si128(words));
    put_first(p, static_cast<int64_t>(_mm_cvtsi128_si64(bytes)), count);
}

}  // namespace avx2
}  // namespace onewarp
ONEWARP_END_FOR
