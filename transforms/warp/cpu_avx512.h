// Sixteen pixels at a time: AVX-512 F, BW, DQ, VL and VNNI.
// Included inside a namespace of its own; see cpu_kernel.h for what each function is for.

constexpr int L = 16;
using F = __m512;
typedef int32_t I __attribute__((vector_size(64)));
using M = __mmask16;

ONEWARP_INLINE __m512i bits(I a) { return reinterpret_cast<__m512i>(a); }
ONEWARP_INLINE I ints(__m512i a) { return reinterpret_cast<I>(a); }

ONEWARP_INLINE F set(float x) { return _mm512_set1_ps(x); }
ONEWARP_INLINE I seti(int x) { return ints(_mm512_set1_epi32(x)); }
ONEWARP_INLINE F lanes() { return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
ONEWARP_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
ONEWARP_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
ONEWARP_INLINE void storei(int32_t* p, I x) { _mm512_storeu_si512(p, bits(x)); }
ONEWARP_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
ONEWARP_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
ONEWARP_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
ONEWARP_INLINE I mini(I a, I b) { return ints(_mm512_min_epi32(bits(a), bits(b))); }
ONEWARP_INLINE I maxi(I a, I b) { return ints(_mm512_max_epi32(bits(a), bits(b))); }
ONEWARP_INLINE F abs(F a) { return _mm512_abs_ps(a); }
ONEWARP_INLINE F floor(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
ONEWARP_INLINE F root(F a) { return a * _mm512_rsqrt14_ps(max(a, set(1e-30f))); }
ONEWARP_INLINE F rough_inverse(F a) { return _mm512_rcp14_ps(a); }
ONEWARP_INLINE F inverse(F a) {
    const F r = _mm512_rcp14_ps(a);
    return r * _mm512_fnmadd_ps(a, r, set(2));
}
ONEWARP_INLINE F good_inverse(F a) { return _mm512_rcp14_ps(a); }
ONEWARP_INLINE I truncate(F a) { return ints(_mm512_cvttps_epi32(a)); }
ONEWARP_INLINE I round(F a) { return ints(_mm512_cvtps_epi32(a)); }
ONEWARP_INLINE F real(I a) { return _mm512_cvtepi32_ps(bits(a)); }
ONEWARP_INLINE M less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
ONEWARP_INLINE M less_equal(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
ONEWARP_INLINE M equali(I a, I b) { return _mm512_cmpeq_epi32_mask(bits(a), bits(b)); }
ONEWARP_INLINE M both(M a, M b) { return a & b; }
ONEWARP_INLINE bool all(M m) { return m == 0xFFFF; }
ONEWARP_INLINE F select(M m, F a, F b) { return _mm512_mask_blend_ps(m, b, a); }
ONEWARP_INLINE I selecti(M m, I a, I b) { return ints(_mm512_mask_blend_epi32(m, bits(b), bits(a))); }
ONEWARP_INLINE F gather(const float* table, I index) { return _mm512_i32gather_ps(bits(index), table, 4); }

ONEWARP_INLINE void split(F x, F& mantissa, F& exponent) {
    mantissa = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
    exponent = _mm512_getexp_ps(x);
}
ONEWARP_INLINE F scale(F x, F n) { return _mm512_scalef_ps(x, n); }

// x weights of two neighbours side by side in 16 bits, y weights twice: their rounded products (vpmulhrsw) are the
// 13 bit weights of two pixels of a row, as vpdpwssd wants them.
struct Weights4 {
    __m512i w01[4], w23[4];  // Of each of the four rows.
};
ONEWARP_INLINE __m512i beside(I a, I b) {
    return _mm512_mask_blend_epi16(0xAAAAAAAA, bits(a), _mm512_slli_epi32(bits(b), 16));
}
ONEWARP_INLINE __m512i twice(I a) {
    const __m512i low = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    return _mm512_shuffle_epi8(bits(a), low);
}
// For weights of which the inner two follow from the outer two: linear, and their second differences. In x they are
// made of integers that sum to one exactly, and row 1 takes what the other rows leave of them, so that all together sum
// to one exactly, and a plain area stays plain.
ONEWARP_INLINE Weights4 exact_weights4(F fx, F first_x, F last_x, F fy, F first_y, F last_y) {
    const F one = set(8192), two = set(16384);
    const I f = round(fx * one), a = round(first_x * one), b = round(last_x * one);
    const __m512i x01 = beside(a, 8192 - f + b - a - a), x23 = beside(f + a - b - b, b);
    const __m512i double01 = _mm512_add_epi16(x01, x01), double23 = _mm512_add_epi16(x23, x23);
    const __m512i y0 = twice(round(first_y * two)), y3 = twice(round(last_y * two));
    const __m512i y2 = twice(round(fma(last_y, set(-2), fy + first_y) * two));
    Weights4 w;
    w.w01[0] = _mm512_mulhrs_epi16(double01, y0), w.w23[0] = _mm512_mulhrs_epi16(double23, y0);
    w.w01[2] = _mm512_mulhrs_epi16(double01, y2), w.w23[2] = _mm512_mulhrs_epi16(double23, y2);
    w.w01[3] = _mm512_mulhrs_epi16(double01, y3), w.w23[3] = _mm512_mulhrs_epi16(double23, y3);
    w.w01[1] = _mm512_sub_epi16(_mm512_sub_epi16(x01, w.w01[0]), _mm512_add_epi16(w.w01[2], w.w01[3]));
    w.w23[1] = _mm512_sub_epi16(_mm512_sub_epi16(x23, w.w23[0]), _mm512_add_epi16(w.w23[2], w.w23[3]));
    return w;
}
ONEWARP_INLINE Weights4 weights4(const F* x, const F* y) {
    const F one = set(16384);
    const __m512i x01 = beside(round(x[0] * one), round(x[1] * one)),
                  x23 = beside(round(x[2] * one), round(x[3] * one));
    Weights4 w;
    for (int j = 0; j < 4; j++) {
        const __m512i both_y = twice(round(y[j] * one));
        w.w01[j] = _mm512_mulhrs_epi16(x01, both_y);
        w.w23[j] = _mm512_mulhrs_epi16(x23, both_y);
    }
    return w;
}
ONEWARP_INLINE I total_weight(const Weights4& w) {
    const __m512i ones = _mm512_set1_epi16(1);
    __m512i pair[4];
    for (int j = 0; j < 4; j++) pair[j] = _mm512_dpwssd_epi32(_mm512_madd_epi16(w.w01[j], ones), w.w23[j], ones);
    return ints(_mm512_add_epi32(_mm512_add_epi32(pair[0], pair[1]), _mm512_add_epi32(pair[2], pair[3])));
}

template <bool tight>
ONEWARP_INLINE __m128i row16(const uint8_t* p) {
    // 12 bytes are wanted; a masked load touches no more.
    return tight ? _mm_maskz_loadu_epi32(7, p) : _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

template <bool tight>
ONEWARP_INLINE __m512i four_rows(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d) {
    const __m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(row16<tight>(a)), row16<tight>(b), 1);
    const __m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(row16<tight>(c)), row16<tight>(d), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
}

// Dwords 0, 1, 2 of each 128 bits of a[k] are red, green, blue of pixel 4 q + k: to three vectors of 16 pixels.
ONEWARP_INLINE void planes(const __m512i* a, I* rgb) {
    const __m512i t0 = _mm512_unpacklo_epi32(a[0], a[1]), t1 = _mm512_unpacklo_epi32(a[2], a[3]);
    const __m512i t2 = _mm512_unpackhi_epi32(a[0], a[1]), t3 = _mm512_unpackhi_epi32(a[2], a[3]);
    rgb[0] = ints(_mm512_unpacklo_epi64(t0, t1));
    rgb[1] = ints(_mm512_unpackhi_epi64(t0, t1));
    rgb[2] = ints(_mm512_unpacklo_epi64(t2, t3));
}

template <int k, bool tight>
ONEWARP_INLINE __m512i dot4_of(const uint8_t* pixels, int stride, const int32_t* o, const Weights4& w) {
    const __m512i first =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m512i second =
        _mm512_broadcast_i32x4(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    const uint8_t *a = pixels + o[k], *b = pixels + o[4 + k], *c = pixels + o[8 + k], *d = pixels + o[12 + k];
    __m512i sum = _mm512_setzero_si512();
    for (int j = 0; j < 4; j++, a += stride, b += stride, c += stride, d += stride) {
        const __m512i row = four_rows<tight>(a, b, c, d);
        constexpr auto spread = static_cast<_MM_PERM_ENUM>(k * 0x55);
        sum = _mm512_dpwssd_epi32(sum, _mm512_shuffle_epi8(row, first), _mm512_shuffle_epi32(w.w01[j], spread));
        sum = _mm512_dpwssd_epi32(sum, _mm512_shuffle_epi8(row, second), _mm512_shuffle_epi32(w.w23[j], spread));
    }
    return sum;
}

template <bool tight>
ONEWARP_INLINE void dot4(const uint8_t* pixels, int stride, const int32_t* o, const Weights4& w, I* rgb) {
    const __m512i a[4] = {dot4_of<0, tight>(pixels, stride, o, w), dot4_of<1, tight>(pixels, stride, o, w),
                          dot4_of<2, tight>(pixels, stride, o, w), dot4_of<3, tight>(pixels, stride, o, w)};
    planes(a, rgb);
}

// Six bytes of two rows, which begin the halves of the result.
template <bool tight>
ONEWARP_INLINE __m128i two_rows(const uint8_t* p, int stride) {
    const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    if (!tight) return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(a), reinterpret_cast<const double*>(p + stride)));
    // The lower row may be the last one, but a row lies before it.
    const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + stride - 2));
    return _mm_unpacklo_epi64(a, _mm_srli_epi64(b, 16));
}

template <int k, bool tight>
ONEWARP_INLINE __m512i dot2_of(const uint8_t* pixels, int stride, const int32_t* o, __m512i upper, __m512i lower) {
    const __m512i first =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m512i second =
        _mm512_broadcast_i32x4(_mm_setr_epi8(8, -1, 11, -1, 9, -1, 12, -1, 10, -1, 13, -1, -1, -1, -1, -1));
    const __m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(two_rows<tight>(pixels + o[k], stride)),
                                               two_rows<tight>(pixels + o[4 + k], stride), 1);
    const __m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(two_rows<tight>(pixels + o[8 + k], stride)),
                                               two_rows<tight>(pixels + o[12 + k], stride), 1);
    const __m512i square = _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
    constexpr auto spread = static_cast<_MM_PERM_ENUM>(k * 0x55);
    const __m512i sum = _mm512_madd_epi16(_mm512_shuffle_epi8(square, first), _mm512_shuffle_epi32(upper, spread));
    return _mm512_dpwssd_epi32(sum, _mm512_shuffle_epi8(square, second), _mm512_shuffle_epi32(lower, spread));
}

struct Weights2 {
    __m512i upper, lower;
};
ONEWARP_INLINE Weights2 weights2(F fx, F fy) {
    const F one = set(16384);
    const I w11 = round(fx * fy * one), w01 = round(fx * one) - w11, w10 = round(fy * one) - w11;
    return {beside(16384 - w01 - w10 - w11, w01), beside(w10, w11)};
}

template <bool tight>
ONEWARP_INLINE void dot2(const uint8_t* pixels, int stride, const int32_t* o, const Weights2& w, I* rgb) {
    const __m512i a[4] = {
        dot2_of<0, tight>(pixels, stride, o, w.upper, w.lower), dot2_of<1, tight>(pixels, stride, o, w.upper, w.lower),
        dot2_of<2, tight>(pixels, stride, o, w.upper, w.lower), dot2_of<3, tight>(pixels, stride, o, w.upper, w.lower)};
    planes(a, rgb);
}

ONEWARP_INLINE void interleave(const F* rgb, F* out) {
    // Lane i of part p is number 16 p + i of r0 g0 b0 r1 ..: channel (16 p + i) % 3 of pixel (16 p + i) / 3.
    alignas(64) static const int32_t red_green[3][16] = {{0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5},
                                                         {21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26},
                                                         {0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0}};
    alignas(64) static const int32_t blue[3][16] = {{0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0},
                                                    {0, 5, 0, 0, 6, 0, 0, 7, 0, 0, 8, 0, 0, 9, 0, 0},
                                                    {10, 0, 0, 11, 0, 0, 12, 0, 0, 13, 0, 0, 14, 0, 0, 15}};
    static const __mmask16 is_blue[3] = {0x4924, 0x2492, 0x9249};
    for (int p = 0; p < 3; p++) {
        const F rg = _mm512_permutex2var_ps(rgb[0], _mm512_load_si512(red_green[p]), rgb[1]);
        out[p] = _mm512_mask_permutexvar_ps(rg, is_blue[p], _mm512_load_si512(blue[p]), rgb[2]);
    }
}

ONEWARP_INLINE __mmask16 first(int count) { return static_cast<__mmask16>((1u << count) - 1); }
ONEWARP_INLINE void put(float* p, F x, int count) { _mm512_mask_storeu_ps(p, first(count), x); }
ONEWARP_INLINE void put(uint16_t* p, F x, int count) {
    const __m512i b = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(b, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(_mm512_add_epi32(b, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF))), 16);
    r = _mm512_mask_set1_epi32(r, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), 0x7FC0);
    _mm256_mask_storeu_epi16(p, first(count), _mm512_cvtepi32_epi16(r));
}
ONEWARP_INLINE void put(uint8_t* p, F x, int count) {
    const __m512i r = _mm512_cvtps_epi32(min(max(x, set(0)), set(255)));
    _mm_mask_storeu_epi8(p, first(count), _mm512_cvtepi32_epi8(r));
}
