// Eight pixels at a time: AVX2 and FMA.
// Included inside a namespace of its own; see cpu_kernel.h for what each function is for.

constexpr int L = 8;
using F = __m256;
typedef int32_t I __attribute__((vector_size(32)));
using M = __m256;

ONEWARP_INLINE __m256i bits(I a) { return reinterpret_cast<__m256i>(a); }
ONEWARP_INLINE I ints(__m256i a) { return reinterpret_cast<I>(a); }

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
ONEWARP_INLINE bool all(M m) { return _mm256_movemask_ps(m) == 0xFF; }
ONEWARP_INLINE F select(M m, F a, F b) { return _mm256_blendv_ps(b, a, m); }
ONEWARP_INLINE I selecti(M m, I a, I b) { return ints(_mm256_blendv_epi8(bits(b), bits(a), _mm256_castps_si256(m))); }
ONEWARP_INLINE F gather(const float* table, I index) { return _mm256_i32gather_ps(table, bits(index), 4); }

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

// As for AVX-512: x weights side by side in 16 bits, y weights twice, and their rounded products.
struct Weights4 {
    __m256i w01[4], w23[4];  // Of each of the four rows.
};
ONEWARP_INLINE __m256i beside(I a, I b) { return _mm256_blend_epi16(bits(a), _mm256_slli_epi32(bits(b), 16), 0xAA); }
ONEWARP_INLINE __m256i twice(I a) {
    const __m256i low = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    return _mm256_shuffle_epi8(bits(a), low);
}
// For weights of which the inner two follow from the outer two: linear, and their second differences. In x they are
// made of integers that sum to one exactly, and row 1 takes what the other rows leave of them, so that all together sum
// to one exactly, and a plain area stays plain.
ONEWARP_INLINE Weights4 exact_weights4(F fx, F first_x, F last_x, F fy, F first_y, F last_y) {
    const F one = set(8192), two = set(16384);
    const I f = round(fx * one), a = round(first_x * one), b = round(last_x * one);
    const __m256i x01 = beside(a, 8192 - f + b - a - a), x23 = beside(f + a - b - b, b);
    const __m256i double01 = _mm256_add_epi16(x01, x01), double23 = _mm256_add_epi16(x23, x23);
    const __m256i y0 = twice(round(first_y * two)), y3 = twice(round(last_y * two));
    const __m256i y2 = twice(round(fma(last_y, set(-2), fy + first_y) * two));
    Weights4 w;
    w.w01[0] = _mm256_mulhrs_epi16(double01, y0), w.w23[0] = _mm256_mulhrs_epi16(double23, y0);
    w.w01[2] = _mm256_mulhrs_epi16(double01, y2), w.w23[2] = _mm256_mulhrs_epi16(double23, y2);
    w.w01[3] = _mm256_mulhrs_epi16(double01, y3), w.w23[3] = _mm256_mulhrs_epi16(double23, y3);
    w.w01[1] = _mm256_sub_epi16(_mm256_sub_epi16(x01, w.w01[0]), _mm256_add_epi16(w.w01[2], w.w01[3]));
    w.w23[1] = _mm256_sub_epi16(_mm256_sub_epi16(x23, w.w23[0]), _mm256_add_epi16(w.w23[2], w.w23[3]));
    return w;
}
ONEWARP_INLINE Weights4 weights4(const F* x, const F* y) {
    const F one = set(16384);
    const __m256i x01 = beside(round(x[0] * one), round(x[1] * one)),
                  x23 = beside(round(x[2] * one), round(x[3] * one));
    Weights4 w;
    for (int j = 0; j < 4; j++) {
        const __m256i both_y = twice(round(y[j] * one));
        w.w01[j] = _mm256_mulhrs_epi16(x01, both_y);
        w.w23[j] = _mm256_mulhrs_epi16(x23, both_y);
    }
    return w;
}
ONEWARP_INLINE I total_weight(const Weights4& w) {
    __m256i total = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
    for (int j = 0; j < 4; j++) {
        total = _mm256_add_epi32(total, _mm256_madd_epi16(w.w01[j], ones));
        total = _mm256_add_epi32(total, _mm256_madd_epi16(w.w23[j], ones));
    }
    return ints(total);
}

template <bool tight>
ONEWARP_INLINE __m128i row16(const uint8_t* p) {
    // 12 bytes are wanted; a masked load touches no more.
    return tight ? _mm_maskload_epi32(reinterpret_cast<const int*>(p), _mm_setr_epi32(-1, -1, -1, 0))
                 : _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// Dwords 0, 1, 2 of each half of a[k] are red, green, blue of pixel 4 q + k: to three vectors of 8 pixels.
ONEWARP_INLINE void planes(const __m256i* a, I* rgb) {
    const __m256i t0 = _mm256_unpacklo_epi32(a[0], a[1]), t1 = _mm256_unpacklo_epi32(a[2], a[3]);
    const __m256i t2 = _mm256_unpackhi_epi32(a[0], a[1]), t3 = _mm256_unpackhi_epi32(a[2], a[3]);
    rgb[0] = ints(_mm256_unpacklo_epi64(t0, t1));
    rgb[1] = ints(_mm256_unpackhi_epi64(t0, t1));
    rgb[2] = ints(_mm256_unpacklo_epi64(t2, t3));
}

template <int k, bool tight>
ONEWARP_INLINE __m256i dot4_of(const uint8_t* pixels, int stride, const int32_t* o, const Weights4& w) {
    const __m256i first =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i second =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    const uint8_t *a = pixels + o[k], *b = pixels + o[4 + k];
    __m256i sum = _mm256_setzero_si256();
    for (int j = 0; j < 4; j++, a += stride, b += stride) {
        const __m256i row = _mm256_inserti128_si256(_mm256_castsi128_si256(row16<tight>(a)), row16<tight>(b), 1);
        const __m256i left =
            _mm256_madd_epi16(_mm256_shuffle_epi8(row, first), _mm256_shuffle_epi32(w.w01[j], k * 0x55));
        const __m256i right =
            _mm256_madd_epi16(_mm256_shuffle_epi8(row, second), _mm256_shuffle_epi32(w.w23[j], k * 0x55));
        sum = _mm256_add_epi32(sum, _mm256_add_epi32(left, right));
    }
    return sum;
}

template <bool tight>
ONEWARP_INLINE void dot4(const uint8_t* pixels, int stride, const int32_t* o, const Weights4& w, I* rgb) {
    const __m256i a[4] = {dot4_of<0, tight>(pixels, stride, o, w), dot4_of<1, tight>(pixels, stride, o, w),
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
ONEWARP_INLINE __m256i dot2_of(const uint8_t* pixels, int stride, const int32_t* o, __m256i upper, __m256i lower) {
    const __m256i first =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    const __m256i second =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(8, -1, 11, -1, 9, -1, 12, -1, 10, -1, 13, -1, -1, -1, -1, -1));
    const __m256i square = _mm256_inserti128_si256(_mm256_castsi128_si256(two_rows<tight>(pixels + o[k], stride)),
                                                   two_rows<tight>(pixels + o[4 + k], stride), 1);
    return _mm256_add_epi32(
        _mm256_madd_epi16(_mm256_shuffle_epi8(square, first), _mm256_shuffle_epi32(upper, k * 0x55)),
        _mm256_madd_epi16(_mm256_shuffle_epi8(square, second), _mm256_shuffle_epi32(lower, k * 0x55)));
}

struct Weights2 {
    __m256i upper, lower;
};
ONEWARP_INLINE Weights2 weights2(F fx, F fy) {
    const F one = set(16384);
    const I w11 = round(fx * fy * one), w01 = round(fx * one) - w11, w10 = round(fy * one) - w11;
    return {beside(16384 - w01 - w10 - w11, w01), beside(w10, w11)};
}

template <bool tight>
ONEWARP_INLINE void dot2(const uint8_t* pixels, int stride, const int32_t* o, const Weights2& w, I* rgb) {
    const __m256i a[4] = {
        dot2_of<0, tight>(pixels, stride, o, w.upper, w.lower), dot2_of<1, tight>(pixels, stride, o, w.upper, w.lower),
        dot2_of<2, tight>(pixels, stride, o, w.upper, w.lower), dot2_of<3, tight>(pixels, stride, o, w.upper, w.lower)};
    planes(a, rgb);
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
ONEWARP_INLINE void put(float* p, F x, int count) {
    if (count == L) return store(p, x);
    put_first(p, x, count);
}
ONEWARP_INLINE void put(uint16_t* p, F x, int count) {
    const __m256i b = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(b, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_srli_epi32(_mm256_add_epi32(b, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF))), 16);
    r = _mm256_blendv_epi8(r, _mm256_set1_epi32(0x7FC0), _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    put_first(p, _mm256_castsi256_si128(packed), count);
}
ONEWARP_INLINE void put(uint8_t* p, F x, int count) {
    const __m256i r = _mm256_cvtps_epi32(min(max(x, set(0)), set(255)));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(r, r), 0x08);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_castsi256_si128(words));
    put_first(p, static_cast<int64_t>(_mm_cvtsi128_si64(bytes)), count);
}
