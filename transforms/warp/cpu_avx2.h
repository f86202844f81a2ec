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

constexpr int L = 8;
using F = __m256;
typedef int32_t I __attribute__((vector_size(32)));
using M = __m256;

ONEWARP_INLINE __m256i bits(I a) { return reinterpret_cast<__m256i>(a); }
ONEWARP_INLINE I ints(__m256i a) { return reinterpret_cast<I>(a); }
ONEWARP_INLINE F floats(I a) { return reinterpret_cast<F>(a); }
ONEWARP_INLINE I ints(F a) { return reinterpret_cast<I>(a); }

ONEWARP_INLINE F set(float x) { return _mm256_set1_ps(x); }
ONEWARP_INLINE I seti(int x) { return ints(_mm256_set1_epi32(x)); }
ONEWARP_INLINE F lanes() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
ONEWARP_INLINE F load(const float* p) { return _mm256_loadu_ps(p); }
ONEWARP_INLINE void store(float* p, F x) { _mm256_storeu_ps(p, x); }
ONEWARP_INLINE void storei(int32_t* p, I x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), bits(x)); }
ONEWARP_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
ONEWARP_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
ONEWARP_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
ONEWARP_INLINE I mini(I a, I b) { return ints(_mm256_min_epi32(bits(a), bits(b))); }
ONEWARP_INLINE I maxi(I a, I b) { return ints(_mm256_max_epi32(bits(a), bits(b))); }
ONEWARP_INLINE F abs(F a) { return _mm256_andnot_ps(set(-0.f), a); }
ONEWARP_INLINE F floor(F a) { return _mm256_floor_ps(a); }
ONEWARP_INLINE F root(F a) { return a * _mm256_rsqrt_ps(max(a, set(1e-30f))); }
ONEWARP_INLINE F rough_inverse(F a) { return _mm256_rcp_ps(a); }
ONEWARP_INLINE F inverse(F a) {
    const F r = _mm256_rcp_ps(a);
    return r * _mm256_fnmadd_ps(a, r, set(2));
}
ONEWARP_INLINE F good_inverse(F a) { return inverse(a); }
ONEWARP_INLINE I truncate(F a) { return ints(_mm256_cvttps_epi32(a)); }
ONEWARP_INLINE I round(F a) { return ints(_mm256_cvtps_epi32(a)); }
ONEWARP_INLINE F real(I a) { return _mm256_cvtepi32_ps(bits(a)); }
ONEWARP_INLINE M less(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
ONEWARP_INLINE M less_equal(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
ONEWARP_INLINE M equali(I a, I b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(bits(a), bits(b))); }
ONEWARP_INLINE M both(M a, M b) { return _mm256_and_ps(a, b); }
ONEWARP_INLINE unsigned bits_of(M m) { return static_cast<unsigned>(_mm256_movemask_ps(m)); }
ONEWARP_INLINE bool all(M m) { return bits_of(m) == 0xFF; }
ONEWARP_INLINE F select(M m, F a, F b) { return _mm256_blendv_ps(b, a, m); }
ONEWARP_INLINE I selecti(M m, I a, I b) { return ints(_mm256_blendv_epi8(bits(b), bits(a), _mm256_castps_si256(m))); }
ONEWARP_INLINE F after(F a) { return _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 7)); }
ONEWARP_INLINE F gather(const float* table, I index) { return _mm256_i32gather_ps(table, bits(index), 4); }
constexpr bool kLooksUpCurves = false;  // Gathering takes longer than logits do.
ONEWARP_INLINE F look_up(const float* table, I index) { return gather(table, index & 31); }

ONEWARP_INLINE void split(F x, F& mantissa, F& exponent) {
    const __m256i b = _mm256_castps_si256(x);
    exponent = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(b, 23), _mm256_set1_epi32(127)));
    const __m256i fraction = _mm256_and_si256(b, _mm256_set1_epi32(0x7FFFFF));
    mantissa = _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(0x3F800000)));
}
ONEWARP_INLINE F scale(F x, F n) {
    const __m256i biased =
        _mm256_add_epi32(_mm256_cvtps_epi32(min(max(n, set(-126)), set(126))), _mm256_set1_epi32(127));
    return x * _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

// What cpu_words-inl.h is made of, as for AVX-512.
using V = __m256i;
ONEWARP_INLINE V beside(I a, I b) { return _mm256_blend_epi16(bits(a), _mm256_slli_epi32(bits(b), 16), 0xAA); }
template <class... Bytes>
ONEWARP_INLINE V pick(V windows, Bytes... twelve) {
    return _mm256_shuffle_epi8(windows, _mm256_broadcastsi128_si256(_mm_setr_epi8(twelve..., -1, -1, -1, -1)));
}
template <int k>
ONEWARP_INLINE V spread(V a) {
    return _mm256_shuffle_epi32(a, k * 0x55);
}
template <int k>
ONEWARP_INLINE F spread(F a) {
    return _mm256_permute_ps(a, k * 0x55);
}
template <int by>
ONEWARP_INLINE V shift16(V a) {
    return _mm256_slli_epi16(a, by);
}
ONEWARP_INLINE V widen(const uint8_t* p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
ONEWARP_INLINE void store16(int16_t* p, V a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
ONEWARP_INLINE V add16(V a, V b) { return _mm256_add_epi16(a, b); }
ONEWARP_INLINE V subtract16(V a, V b) { return _mm256_sub_epi16(a, b); }
ONEWARP_INLINE V product16(V a, V b) { return _mm256_mulhrs_epi16(a, b); }
ONEWARP_INLINE I pairs(V a, V b) { return ints(_mm256_madd_epi16(a, b)); }
ONEWARP_INLINE I add_pairs(I sum, V a, V b) { return sum + ints(_mm256_madd_epi16(a, b)); }

ONEWARP_INLINE V two(__m128i a, __m128i b) { return _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1); }
template <class Make>
ONEWARP_INLINE F side_by_side(const Make& half) {
    return _mm256_castsi256_ps(two(reinterpret_cast<__m128i>(half(0)), reinterpret_cast<__m128i>(half(1))));
}
template <bool no_overread>
ONEWARP_INLINE __m128i window(const uint8_t* p) {
    return no_overread ? _mm_maskload_epi32(reinterpret_cast<const int*>(p), _mm_setr_epi32(-1, -1, -1, 0))
                       : _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
template <int k, bool no_overread>
ONEWARP_INLINE V windows(const uint8_t* p, const int32_t* o) {
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
ONEWARP_INLINE V squares(const uint8_t* p, int stride, const int32_t* o) {
    return two(two_rows<no_overread>(p + o[k], stride), two_rows<no_overread>(p + o[4 + k], stride));
}

// Dwords 0, 1, 2 of each half of a[k] are red, green, blue of pixel 4 q + k: to three vectors of 8 pixels.
ONEWARP_INLINE void planes(const F* a, F* rgb) {
    const F t0 = _mm256_unpacklo_ps(a[0], a[1]), t1 = _mm256_unpacklo_ps(a[2], a[3]);
    const F t2 = _mm256_unpackhi_ps(a[0], a[1]), t3 = _mm256_unpackhi_ps(a[2], a[3]);
    rgb[0] = _mm256_shuffle_ps(t0, t1, 0x44), rgb[1] = _mm256_shuffle_ps(t0, t1, 0xEE);
    rgb[2] = _mm256_shuffle_ps(t2, t3, 0x44);
}

ONEWARP_INLINE V pack(I a, I b, I c, I d) {
    return _mm256_packus_epi16(_mm256_packs_epi32(bits(a), bits(b)), _mm256_packs_epi32(bits(c), bits(d)));
}
ONEWARP_INLINE void put_pixels(uint8_t* p, V twelves, int count) {
    alignas(32) uint8_t pixels[32];
    const __m256i dwords = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
    _mm256_store_si256(reinterpret_cast<__m256i*>(pixels), _mm256_permutevar8x32_epi32(twelves, dwords));
    if (count == L)
        __builtin_memcpy(p, pixels, 3 * L);
    else
        __builtin_memcpy(p, pixels, 3 * count);
}

ONEWARP_INLINE void interleave(const F* rgb, F* out) {
    alignas(32) float plane[3][L], mixed[3 * L];
    for (int c = 0; c < 3; c++) store(plane[c], rgb[c]);
    for (int i = 0; i < L; i++)
        for (int c = 0; c < 3; c++) mixed[3 * i + c] = plane[c][i];
    for (int p = 0; p < 3; p++) out[p] = load(mixed + p * L);
}

template <class T, class V>
ONEWARP_INLINE void put_first(T* p, const V& whole, int count) {
    T lane[L];
    __builtin_memcpy(lane, &whole, sizeof lane);
    for (int i = 0; i < count; i++) p[i] = lane[i];
}
ONEWARP_INLINE void put(float* p, F x, int count, bool) {
    if (count == L) return store(p, x);
    put_first(p, x, count);
}
ONEWARP_INLINE void put(uint16_t* p, F x, int count, bool) {
    const __m256i b = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(b, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_srli_epi32(_mm256_add_epi32(b, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
    r = _mm256_blendv_epi8(r, _mm256_set1_epi32(0x7FC0), _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    put_first(p, _mm256_castsi256_si128(packed), count);
}
ONEWARP_INLINE void put(uint8_t* p, F x, int count, bool) {
    const __m256i r = _mm256_cvtps_epi32(min(max(x, set(0)), set(255)));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_castsi256_si128(words));
    put_first(p, static_cast<int64_t>(_mm_cvtsi128_si64(bytes)), count);
}

}  // namespace avx2
}  // namespace onewarp
ONEWARP_END_FOR
