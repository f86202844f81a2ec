// One output pixel in float64, tap by tap: for images smaller than the filter's window, and for the few pixels whose
// logits would show the rounding of the fast paths.
#pragma once

#include <cmath>
#include <cstring>

#include "cpu_types.h"

namespace onewarp {

// The pixel that stands for pixel `index` along an axis of `length`; -1 for the padding colour.
inline int place(double index, int length, Padding padding) {
    if (padding == Padding::border) return static_cast<int>(std::fmin(std::fmax(index, 0), length - 1));
    if (padding == Padding::colour) return index < 0 || index >= length ? -1 : static_cast<int>(index);
    index -= 2.0 * length * std::floor(index / (2.0 * length));
    return static_cast<int>(index < length ? index : 2.0 * length - 1 - index);
}

// Beyond 1e15 pixels a float64 has no fraction left; and what is not a number is there too.
inline double within_reach(double x) {
    x = x > -1e15 ? x : -1e15;
    return x < 1e15 ? x : 1e15;
}

// Four weights about a position: `taps` of footprint.py.
inline void exact_taps(double f, double extent, bool antialias, double* w) {
    const double g = 1 - f, t = std::fmax(extent - 1, 0), s = std::fmin(extent, 1);
    const double r = kCurveAtOne - kCurveLoss * t * t, p = kBlurAtOne * s * s + kBlurGain * t - r;
    w[0] = antialias ? g * (p + r * g * g) : 0;
    w[3] = antialias ? f * (p + r * f * f) : 0;
    w[1] = g + w[3] - 2 * w[0];
    w[2] = f + w[0] - 2 * w[3];
}

// A pixel in 0..1.
inline void exact_colour(const Image& image, int line, int column, double* rgb) {
    const uint8_t* pixel = image.pixels + static_cast<int64_t>(line) * image.stride + column * image.pixel;
    for (int c = 0; c < 3; c++) {
        float value = pixel[c];
        if (image.floats) std::memcpy(&value, pixel + 4 * c, 4);
        rgb[c] = image.floats ? value : value / 255.0;
    }
}

// Adds the sample at output position (u, v), for a sub-pixel of du x dv.
inline void add_exact_sample(const Request& q, const Image& image, double u, double v, double du, double dv,
                             double* rgb) {
    const double* h = image.h;
    const double w = h[6] * u + h[7] * v + h[8];
    if (!(w > 0)) {
        for (int c = 0; c < 3; c++) rgb[c] += q.fill[c];
        return;
    }
    const double x = within_reach((h[0] * u + h[1] * v + h[2]) / w), y = within_reach((h[3] * u + h[4] * v + h[5]) / w);
    const double extent_x = std::fmin(std::hypot((h[0] - x * h[6]) / w * du, (h[1] - x * h[7]) / w * dv), kMostExtent);
    const double extent_y = std::fmin(std::hypot((h[3] - y * h[6]) / w * du, (h[4] - y * h[7]) / w * dv), kMostExtent);
    const double x0 = std::floor(x - 0.5), y0 = std::floor(y - 0.5);
    double wx[4], wy[4];
    exact_taps(x - 0.5 - x0, extent_x, q.antialias && !image.copies, wx);
    exact_taps(y - 0.5 - y0, extent_y, q.antialias && !image.copies, wy);
    for (int j = 0; j < 4; j++) {
        const int line = place(y0 - 1 + j, image.height, q.padding);
        for (int k = 0; k < 4; k++) {
            const int column = place(x0 - 1 + k, image.width, q.padding);
            const bool inside = line >= 0 && column >= 0;
            double pixel[3] = {q.fill[0], q.fill[1], q.fill[2]};
            if (inside) exact_colour(image, line, column, pixel);
            for (int c = 0; c < 3; c++) rgb[c] += wy[j] * wx[k] * pixel[c];
        }
    }
}

// The pixel in row v, column u, in 0..1, before its colour map.
inline void exact_pixel(const Request& q, const Image& image, const Division& n, int v, int u, double* rgb) {
    rgb[0] = rgb[1] = rgb[2] = 0;
    for (int j = 0; j < n.v; j++)
        for (int i = 0; i < n.u; i++)
            add_exact_sample(q, image, u + (i + 0.5) / n.u, v + (j + 0.5) / n.v, 1.0 / n.u, 1.0 / n.v, rgb);
    for (int c = 0; c < 3; c++) rgb[c] /= n.u * n.v;
    if (q.antialias)
        for (int c = 0; c < 3; c++) rgb[c] = std::fmin(std::fmax(rgb[c], 0), 1);
}

// Whether all that the pixel in row v, column u can see is of one colour; false where that would be long to tell.
inline bool is_plain(const Image& image, const Division& n, int v, int u) {
    if (n.precise || n.u * n.v > 1) return false;
    const double* h = image.h;
    const double up = u + 0.5, vp = v + 0.5, w = h[6] * up + h[7] * vp + h[8];
    const double x = (h[0] * up + h[1] * vp + h[2]) / w - 1.5, y = (h[3] * up + h[4] * vp + h[5]) / w - 1.5;
    // A little more than the window, in whose place float32 may be wrong.
    if (!(x > 1 && x < image.width - 5 && y > 1 && y < image.height - 5)) return false;
    const uint8_t* first =
        image.pixels + static_cast<int64_t>(y - 0.01) * image.stride + image.pixel * static_cast<int>(x - 0.01);
    for (int j = 0; j < 5; j++)
        if (std::memcmp(first + j * image.stride, first, 5 * image.pixel)) return false;
    return !std::memcmp(first, first + image.pixel, 4 * image.pixel);
}

// sigmoid(M logit(x) + b), as in reference.py.
inline void exact_logit(const float* m, double* rgb) {
    double z[3];
    for (int c = 0; c < 3; c++) z[c] = std::log(std::fmax(rgb[c], 1e-7)) - std::log(std::fmax(1 - rgb[c], 1e-7));
    for (int c = 0; c < 3; c++, m += 4) rgb[c] = 1 / (1 + std::exp(-(m[0] * z[0] + m[1] * z[1] + m[2] * z[2] + m[3])));
}

}  // namespace onewarp
