// Sixteen pixels at a time: AVX-512 F, BW, DQ, VL and VNNI.
// See cpu_kernel-inl.h for what each function is for.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "cpu_compiler.h"
#include "cpu_types.h"

ONEWARP_FOR_AVX512
namespace onewarp {
namespace avx512 {

constexpr int kLanes = 16;
using Floats = __m512;
typedef int32_t Ints __attribute__((vector_size(64)));
using LaneMask = __mmask16;

ONEWARP_INLINE __m512i bits(Ints a) { return reinterpret_cast<__m512i>(a); }
ONEWARP_INLINE Ints ints(__m512i a) { return reinterpret_cast<Ints>(a); }
ONEWARP_INLINE Floats floats(Ints a) { return reinterpret_cast<Floats>(a); }
ONEWARP_INLINE Ints ints(Floats a) { return reinterpret_cast<Ints>(a); }

ONEWARP_INLINE Floats set(float x) { return _mm512_set1_ps(x); }
ONEWARP_INLINE Ints seti(int x) { return ints(_mm512_set1_epi32(x)); }
ONEWARP_INLINE Floats lanes() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
ONEWARP_INLINE Floats load(const float* p) { return _mm512_loadu_ps(p); }
ONEWARP_INLINE void store(float* p, Floats x) { _mm512_storeu_ps(p, x); }
ONEWARP_INLINE void storei(int32_t* p, Ints x) { _mm512_storeu_si512(p, bits(x)); }
ONEWARP_INLINE Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
ONEWARP_INLINE Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
ONEWARP_INLINE Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
ONEWARP_INLINE Ints mini(Ints a, Ints b) { return ints(_mm512_min_epi32(bits(a), bits(b))); }
ONEWARP_INLINE Ints maxi(Ints a, Ints b) { return ints(_mm512_max_epi32(bits(a), bits(b))); }
ONEWARP_INLINE Floats abs(Floats a) { return _mm512_abs_ps(a); }
ONEWARP_INLINE Floats floor(Floats a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
ONEWARP_INLINE Floats root(Floats a) { return a * _mm512_rsqrt14_ps(max(a, set(1e-30f))); }
ONEWARP_INLINE Floats rough_inverse(Floats a) { return _mm512_rcp14_ps(a); }
ONEWARP_INLINE Floats inverse(Floats a) {
    const Floats r = _mm512_rcp14_ps(a);
    return r * _mm512_fnmadd_ps(a, r, set(2));
}
ONEWARP_INLINE Floats good_inverse(Floats a) { return _mm512_rcp14_ps(a); }
ONEWARP_INLINE Ints truncate(Floats a) { return ints(_mm512_cvttps_epi32(a)); }
ONEWARP_INLINE Ints round(Floats a) { return ints(_mm512_cvtps_epi32(a)); }
ONEWARP_INLINE Floats real(Ints a) { return _mm512_cvtepi32_ps(bits(a)); }
ONEWARP_INLINE LaneMask less(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
ONEWARP_INLINE LaneMask less_equal(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
ONEWARP_INLINE LaneMask equali(Ints a, Ints b) { return _mm512_cmpeq_epi32_mask(bits(a), bits(b)); }
ONEWARP_INLINE LaneMask both(LaneMask a, LaneMask b) { return a & b; }
ONEWARP_INLINE unsigned bits_of(LaneMask m) { return m; }
ONEWARP_INLINE bool all(LaneMask m) { return m == 0xFFFF; }
ONEWARP_INLINE Floats select(LaneMask m, Floats a, Floats b) { return _mm512_mask_blend_ps(m, b, a); }
ONEWARP_INLINE Ints selecti(LaneMask m, Ints a, Ints b) { return ints(_mm512_mask_blend_epi32(m, bits(b), bits(a))); }
ONEWARP_INLINE Floats after(Floats a) {
    return _mm512_permutexvar_ps(_mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15), a);
}
ONEWARP_INLINE Floats gather(const float* table, Ints index) { return _mm512_i32gather_ps(bits(index), table, 4); }
// Entries of a table of 32, by the last bits of numbers.
constexpr bool kLooksUpCurves = true;
ONEWARP_INLINE Floats look_up(const float* table, Ints index) {
    return _mm512_permutex2var_ps(_mm512_load_ps(table), bits(index), _mm512_load_ps(table + kLanes));
}

ONEWARP_INLINE void split(Floats x, Floats& mantissa, Floats& exponent) {
    mantissa = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
    exponent = _mm512_getexp_ps(x);
}
ONEWARP_INLINE Floats scale(Floats x, Floats n) { return _mm512_scalef_ps(x, n); }

// What cpu_words-inl.h is made of: arithmetic of 16 bits, and windows of 16 bytes of which 12 are wanted.
using Shorts = __m512i;
ONEWARP_INLINE Shorts beside(Ints a, Ints b) {
    return _mm512_mask_blend_epi16(0xAAAAAAAA, bits(a), _mm512_slli_epi32(bits(b), 16));
}
template <class... Bytes>
ONEWARP_INLINE Shorts pick(Shorts windows, Bytes... twelve) {
    return _mm512_shuffle_epi8(windows, _mm512_broadcast_i32x4(_mm_setr_epi8(twelve..., -1, -1, -1, -1)));
}
template <int k>
ONEWARP_INLINE Shorts spread(Shorts a) {
    return _mm512_shuffle_epi32(a, static_cast<_MM_PERM_ENUM>(k * 0x55));
}
template <int k>
ONEWARP_INLINE Floats spread(Floats a) {
    return _mm512_permute_ps(a, k * 0x55);
}
template <int by>
ONEWARP_INLINE Shorts shift16(Shorts a) {
    return _mm512_slli_epi16(a, by);
}
ONEWARP_INLINE Shorts widen(const uint8_t* p) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
ONEWARP_INLINE void store16(int16_t* p, Shorts a) { _mm512_storeu_si512(p, a); }
ONEWARP_INLINE Shorts add16(Shorts a, Shorts b) { return _mm512_add_epi16(a, b); }
ONEWARP_INLINE Shorts subtract16(Shorts a, Shorts b) { return _mm512_sub_epi16(a, b); }
ONEWARP_INLINE Shorts product16(Shorts a, Shorts b) { return _mm512_mulhrs_epi16(a, b); }
ONEWARP_INLINE Ints pairs(Shorts a, Shorts b) { return ints(_mm512_madd_epi16(a, b)); }
ONEWARP_INLINE Ints add_pairs(Ints sum, Shorts a, Shorts b) { return ints(_mm512_dpwssd_epi32(bits(sum), a, b)); }

ONEWARP_INLINE Shorts four(__m128i a, __m128i b, __m128i c, __m128i d) {
    const __m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
    const __m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(c), d, 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
}
template <class Make>
ONEWARP_INLINE Floats side_by_side(const Make& quarter) {
    const auto bits = [&](int i) { return reinterpret_cast<__m128i>(quarter(i)); };
    return _mm512_castsi512_ps(four(bits(0), bits(1), bits(2), bits(3)));
}
template <bool no_overread>
ONEWARP_INLINE __m128i window(const uint8_t* p) {
    return no_overread ? _mm_maskz_loadu_epi32(7, p) : _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
template <int k, bool no_overread>
ONEWARP_INLINE Shorts windows(const uint8_t* p, const int32_t* o) {
    return four(window<no_overread>(p + o[k]), window<no_overread>(p + o[4 + k]), window<no_overread>(p + o[8 + k]),
                window<no_overread>(p + o[12 + k]));
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
    return four(two_rows<no_overread>(p + o[k], stride), two_rows<no_overread>(p + o[4 + k], stride),
                two_rows<no_overread>(p + o[8 + k], stride), two_rows<no_overread>(p + o[12 + k], stride));
}

// Dwords 0, 1, 2 of each 128 bits of a[k] are red, green, blue of pixel 4 q + k: to three vectors of 16 pixels.
ONEWARP_INLINE void planes(const Floats* a, Floats* rgb) {
    const Floats t0 = _mm512_unpacklo_ps(a[0], a[1]), t1 = _mm512_unpacklo_ps(a[2], a[3]);
    const Floats t2 = _mm512_unpackhi_ps(a[0], a[1]), t3 = _mm512_unpackhi_ps(a[2], a[3]);
    rgb[0] = _mm512_shuffle_ps(t0, t1, 0x44), rgb[1] = _mm512_shuffle_ps(t0, t1, 0xEE);
    rgb[2] = _mm512_shuffle_ps(t2, t3, 0x44);
}

// Numbers to bytes: of four pixels, one from each vector, in each 128 bits.
ONEWARP_INLINE Shorts pack(Ints a, Ints b, Ints c, Ints d) {
    return _mm512_packus_epi16(_mm512_packs_epi32(bits(a), bits(b)), _mm512_packs_epi32(bits(c), bits(d)));
}
// The first 12 bytes of each 128 bits, as many as `count` pixels have.
ONEWARP_INLINE void put_pixels(uint8_t* p, Shorts twelves, int count) {
    const __m512i dwords = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
    _mm512_mask_storeu_epi8(p, (1ull << 3 * count) - 1, _mm512_permutexvar_epi32(dwords, twelves));
}

ONEWARP_INLINE void interleave(const Floats* rgb, Floats* out) {
    // Lane i of part p is number 16 p + i of r0 g0 b0 r1 ..: channel (16 p + i) % 3 of pixel (16 p + i) / 3.
    alignas(64) static const int32_t red_green[3][16] = {{0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5},
                                                         {21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26},
                                                         {0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0}};
    alignas(64) static const int32_t blue[3][16] = {{0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0},
                                                    {0, 5, 0, 0, 6, 0, 0, 7, 0, 0, 8, 0, 0, 9, 0, 0},
                                                    {10, 0, 0, 11, 0, 0, 12, 0, 0, 13, 0, 0, 14, 0, 0, 15}};
    static const __mmask16 is_blue[3] = {0x4924, 0x2492, 0x9249};
    for (int p = 0; p < 3; p++) {
        const Floats rg = _mm512_permutex2var_ps(rgb[0], _mm512_load_si512(red_green[p]), rgb[1]);
        out[p] = _mm512_mask_permutexvar_ps(rg, is_blue[p], _mm512_load_si512(blue[p]), rgb[2]);
    }
}

ONEWARP_INLINE __mmask16 first(int count) { return static_cast<__mmask16>((1u << count) - 1); }
ONEWARP_INLINE void put(float* p, Floats x, int count, bool streamed) {
    if (streamed) return _mm512_stream_ps(p, x);
    _mm512_mask_storeu_ps(p, first(count), x);
}
ONEWARP_INLINE void put(uint16_t* p, Floats x, int count, bool streamed) {
    const __m512i b = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(b, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(_mm512_add_epi32(b, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
    r = _mm512_mask_set1_epi32(r, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), 0x7FC0);
    const __m256i words = _mm512_cvtepi32_epi16(r);
    if (streamed) return _mm256_stream_si256(reinterpret_cast<__m256i*>(p), words);
    _mm256_mask_storeu_epi16(p, first(count), words);
}
ONEWARP_INLINE void put(uint8_t* p, Floats x, int count, bool) {
    // Stored by themselves: a narrowing store, above all one with a mask, takes ten times as long.
    __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(min(max(x, set(0)), set(255))));
    asm("" : "+x"(bytes));
    if (count == kLanes) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    _mm_mask_storeu_epi8(p, first(count), bytes);
}

}  // namespace avx512
}  // namespace onewarp
ONEWARP_END_FOR
