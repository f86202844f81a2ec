// The warp of images of floats, which barriers and pointwise steps leave: pixel after pixel, red, green and blue side
// by side.
//
// Included once for each instruction set: see cpu_target-inl.h.
#if defined(ONEWARP_FLOATS_INL_H) == defined(ONEWARP_TOGGLE)
#ifdef ONEWARP_FLOATS_INL_H
#undef ONEWARP_FLOATS_INL_H
#else
#define ONEWARP_FLOATS_INL_H
#endif

#include "cpu_kernel-inl.h"

ONEWARP_BEGIN

// The fourth number is another pixel's, or what follows the image; where nothing may be read there, it is left.
template <bool no_overread>
ONEWARP_INLINE Pixel pixel_at(const uint8_t* p) {
    float red, green, blue;
    Pixel whole;
    if constexpr (!no_overread) return __builtin_memcpy(&whole, p, 16), whole;
    __builtin_memcpy(&red, p, 4), __builtin_memcpy(&green, p + 4, 4), __builtin_memcpy(&blue, p + 8, 4);
    return Pixel{red, green, blue, 0};
}

// Windows filtered one after the other.
template <int taps, bool no_overread>
ONEWARP_INLINE void filter_floats(const Image& image, const Taps<taps>& t, Floats* rgb) {
    alignas(64) int32_t offset[kLanes];
    alignas(64) float x[taps][kLanes], y[taps][kLanes];
    storei(offset, t.line * image.stride + t.column * image.pixel);
    for (int i = 0; i < taps; i++) store(x[i], t.x[i]), store(y[i], t.y[i]);
    const auto filtered = [&](int i) {
        const uint8_t* row = image.pixels + offset[i];
        Pixel sum = {};
        for (int j = 0; j < taps; j++, row += image.stride) {
            Pixel along = {};
            for (int k = 0; k < taps; k++) along += x[k][i] * pixel_at<no_overread>(row + k * image.pixel);
            sum += y[j][i] * along;
        }
        return sum;
    };
    planes_of(filtered, rgb);
}

// One sample for each lane.
template <int taps, bool antialias>
inline void sample_floats(const Geometry& geometry, const Position& p, bool is_near, Floats* rgb) {
    const Taps<taps> t = taps_at<taps, antialias>(geometry, p, is_near);
    if (geometry.image.no_overread)
        filter_floats<taps, true>(geometry.image, t, rgb);
    else
        filter_floats<taps, false>(geometry.image, t, rgb);
    for (int c = 0; c < 3; c++) {
        if (geometry.padding == Padding::colour) rgb[c] = fma(missing(t), geometry.fill[c], rgb[c]);
        rgb[c] = select(p.dead, geometry.fill[c], rgb[c]);
    }
}

// Whether nothing moves, as in a step that only colours.
inline bool is_in_place(const Request& request, const Image& image) {
    const double* h = image.h;
    return image.height == request.height && image.width == request.width && h[0] == h[8] && h[4] == h[8] &&
           h[1] == 0 && h[2] == 0 && h[3] == 0 && h[5] == 0 && h[6] == 0 && h[7] == 0;
}

// The mean of the samples of each pixel of a vector.
template <bool antialias>
ONEWARP_INLINE void means_of_floats(const Geometry& geometry, const Division& n, int v, int u, Floats* rgb) {
    const Floats du = set(1.f / n.u), dv = set(1.f / n.v), samples = set(1.f / (n.u * n.v));
    for (int c = 0; c < 3; c++) rgb[c] = set(0);
    for (int j = 0; j < n.v; j++) {
        const Row row = row_at(geometry.image, v + (j + 0.5) / n.v);
        for (int i = 0; i < n.u; i++) {
            const Floats there = lanes() + set(u + (i + 0.5f) / n.u);
            const Position p = n.precise ? precise_positions(geometry, row, there, du, dv)
                                         : positions<antialias>(geometry, row, there, du, dv);
            Floats sample[3];
            if (geometry.image.copies)
                sample_floats<1, false>(geometry, p, n.precise, sample);
            else
                sample_floats<antialias ? 4 : 2, antialias>(geometry, p, n.precise, sample);
            for (int c = 0; c < 3; c++) rgb[c] = fma(sample[c], samples, rgb[c]);
        }
    }
}

template <bool antialias>
inline void warp_floats(const Request& request, const Image& image, const Division& n, int v0, int v1, int u0, int u1) {
    const Geometry geometry = geometry_of(request, image, antialias);
    Curve curves[3];
    const Colour colour = colour_of(request, image, curves);
    const bool in_place = is_in_place(request, image), small = image.width < 4 || image.height < 4;
    for (int v = v0; v < v1; v++) {
        const uint8_t* line = image.pixels + static_cast<int64_t>(v) * image.stride;
        look_ahead(request, image, v);
        for (int u = u0; u < u1; u += kLanes) {
            fetch(image, 4 * kLinesPerVector);
            const int last = u + kLanes < u1 ? u + kLanes - 1 : u1 - 1;
            Floats rgb[3];
            if (in_place)
                planes_of([&](int i) { return pixel_at<true>(line + image.pixel * (u + i < last ? u + i : last)); },
                          rgb);
            else if (small)
                sample_small(request, image, n, v, u, last + 1 - u, rgb);
            else
                means_of_floats<antialias>(geometry, n, v, u, rgb);
            if (request.antialias)  // Here, unlike with bytes, copies too can be outside.
                for (int c = 0; c < 3; c++) rgb[c] = min(max(rgb[c], set(0)), set(1));
            colour_and_store<antialias>(request, image, colour, n, v, u, last + 1 - u, rgb, 1);
        }
    }
}

ONEWARP_END
#endif
