// The warp without Python: checks a request, shares its images out among threads, and calls the kernel of the best
// instruction set that the machine has.
#pragma once

#include <atomic>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu_exact.h"
#include "cpu_types.h"

// The kernels, for each instruction set: see cpu_target-inl.h.
#undef ONEWARP_TARGET
#define ONEWARP_TARGET ONEWARP_PORTABLE
#include "cpu_rectangle-inl.h"
#if defined(__x86_64__)
#define ONEWARP_TOGGLE
#undef ONEWARP_TARGET
#define ONEWARP_TARGET ONEWARP_AVX2
#include "cpu_rectangle-inl.h"
#undef ONEWARP_TOGGLE
#undef ONEWARP_TARGET
#define ONEWARP_TARGET ONEWARP_AVX512
#include "cpu_rectangle-inl.h"
#endif

namespace onewarp {

// Bytes of a batch, above which whoever reads it would not find it in the caches: measured, see docs/design.md.
constexpr int64_t kCacheBytes = 16 << 20;

// LEAST_DETERMINANT of checks.py.
constexpr double kLeastDeterminant = 1e-14;

// float32 keeps a position while the terms of its sums, times what cancels in w, are no larger: rounded to 24 bits,
// numerator and w then make it wrong by 2^-10 pixels together. Terms count as kLeastTerms at least, so that in a small
// image too w may lose no more than the 6 bits between the two.
constexpr double kMostTerms = 8192, kLeastTerms = 128;

using Kernel = void (*)(const Request&, const Image&, const Division&, int, int, int, int);

struct InstructionSet {
    const char* name;
    Kernel kernel;
    bool here;
};

// Best first.
inline const std::vector<InstructionSet>& instruction_sets() {
    static const std::vector<InstructionSet> all = {
#if defined(__x86_64__)
        {"avx512", avx512::warp_rectangle,
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vnni")},
        {"avx2", avx2::warp_rectangle, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
        {"portable", portable::warp_rectangle, true}};
    return all;
}

// The best instruction set there is, or the one of this name; null if it is not here.
inline const InstructionSet* instruction_set(const char* name) {
    for (const InstructionSet& set : instruction_sets())
        if (set.here && (!name || !*name || !std::strcmp(name, set.name))) return &set;
    return nullptr;
}

// Why a request cannot be served, or an empty message.
struct Refusal {
    char text[160] = "";
};
__attribute__((format(printf, 1, 2))) inline Refusal refuse(const char* format, ...) {
    Refusal refusal;
    std::va_list values;
    va_start(values, format);
    std::vsnprintf(refusal.text, sizeof refusal.text, format, values);
    va_end(values);
    return refusal;
}

// As in checks.py: the determinant beside the lengths of the rows. False where something is not finite.
inline bool has_inverse(const float* h) {
    const double a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7], m = h[8];
    const double volume = std::fabs(a * (e * m - f * k) + b * (f * g - d * m) + c * (d * k - e * g));
    const double lengths = (a * a + b * b + c * c) * (d * d + e * e + f * f) * (g * g + k * k + m * m);
    return volume > kLeastDeterminant * std::sqrt(lengths);
}

// How many bytes a number of the output has; 0 for none that there is.
inline int bytes_of(Number number) {
    switch (number) {
        case Number::float32:
            return 4;
        case Number::bfloat16:
            return 2;
        case Number::uint8:
            return 1;
    }
    return 0;
}
inline bool is_padding(Padding padding) { return padding >= Padding::reflection && padding <= Padding::colour; }

// Whether the lengths of what is read and written are those of `count` images.
inline Refusal check_lengths(const Request& q) {
    const int64_t count = q.count();
    const struct {
        const char* name;
        const Block<const float>& block;
        int64_t numbers;
        bool optional;
    } parameters[] = {{"homography", q.homography, 9, false},
                      {"logit", q.logit, 12, true},
                      {"hue", q.hue, 1, true},
                      {"table", q.table, 256, true},
                      {"colour", q.colour, 12, false}};
    if (count > INT32_MAX) return refuse("there must be less than 2^31 images");
    if (count < 0 || !fits(q.sizes, 2 * count)) return refuse("an image must have an offset, a height and a width");
    for (const auto& [name, block, numbers, optional] : parameters)
        if (!fits(block, numbers * count, optional))
            return refuse("%s must have %lld numbers for each image", name, static_cast<long long>(numbers));
    if (!fits(q.erase, 4 * count, true) && !fits(q.erase, 7 * count)) return refuse("erase must have 4 or 7 numbers");
    const int64_t pixel = 3 * bytes_of(q.number), rows = count * q.height;
    if (rows > INT64_MAX / pixel / q.width || !fits(q.out, rows * q.width * pixel))
        return refuse("the output must have three numbers for each pixel of each image");
    if (reinterpret_cast<uintptr_t>(q.out.at) % bytes_of(q.number)) return refuse("the output must be aligned");
    return {};
}

inline Refusal check(const Request& q) {
    if (q.height < 1 || q.width < 1)
        return refuse("the output must have at least one pixel, but got %d x %d", q.height, q.width);
    if (!bytes_of(q.number) || !is_padding(q.padding)) return refuse("there is no such number format or padding");
    if (q.pixel != 3 && q.pixel != 12) return refuse("a pixel must have 3 or 12 bytes, but has %d", q.pixel);
    const Refusal refusal = check_lengths(q);
    if (*refusal.text) return refusal;
    for (int64_t i = 0; i < q.count(); i++) {
        const int64_t height = q.sizes.at[2 * i], width = q.sizes.at[2 * i + 1], offset = q.offsets.at[i];
        const long long row = i;
        if (height < 1 || width < 1)
            return refuse("image %lld must have at least one pixel, but got %d x %d", row, q.sizes.at[2 * i],
                          q.sizes.at[2 * i + 1]);
        // Within an image, bytes are counted in 32 bits.
        if (height > INT32_MAX / q.pixel / width) return refuse("image %lld must be smaller than 2 GiB", row);
        if (offset < 0 || offset > q.data.count || height * width * q.pixel > q.data.count - offset)
            return refuse("image %lld must lie within the %lld bytes of data, but it begins at %lld", row,
                          static_cast<long long>(q.data.count), static_cast<long long>(offset));
        if (!has_inverse(q.homography.at + 9 * i))
            return refuse("homography must have an inverse, but row %lld has none", row);
    }
    return {};
}

// The source position of (u, v), and w.
struct Corner {
    double x, y, w;
};
inline Corner project(const double* h, double u, double v) {
    const double w = h[6] * u + h[7] * v + h[8];
    return {(h[0] * u + h[1] * v + h[2]) / w, (h[3] * u + h[4] * v + h[5]) / w, w};
}

// Whether a homography carries pixel centres to pixel centres.
inline bool moves_whole_pixels(const double* h, int height, int width) {
    double sign[4];
    for (int k = 0; k < 4; k++) sign[k] = std::nearbyint(h[k < 2 ? k : k + 1] / h[8]);
    const double a = std::fabs(sign[0]), b = std::fabs(sign[1]), c = std::fabs(sign[2]), d = std::fabs(sign[3]);
    if (!(a + b == 1 && c + d == 1 && a + c == 1 && b + d == 1)) return false;
    double x0 = 0, y0 = 0;
    for (int corner = 0; corner < 4; corner++) {
        const double u = corner & 1 ? width - 1 : 0, v = corner & 2 ? height - 1 : 0;
        const Corner p = project(h, u + 0.5, v + 0.5);
        if (!(p.w > 0)) return false;
        if (!corner) x0 = std::nearbyint(p.x - 0.5) + 0.5, y0 = std::nearbyint(p.y - 0.5) + 0.5;
        const double off_x = std::fabs(p.x - x0 - sign[0] * u - sign[1] * v);
        const double off_y = std::fabs(p.y - y0 - sign[2] * u - sign[3] * v);
        if (!(off_x <= kCopyTolerance && off_y <= kCopyTolerance)) return false;
    }
    return true;
}

// Whether rows stay rows and columns stay columns, of an image that is large enough for windows; what lies outside of
// it is either never seen or is put in its pixels' places.
inline bool keeps_rows(const Request& request, const Image& image) {
    const double* h = image.h;
    if (h[1] != 0 || h[3] != 0 || h[6] != 0 || h[7] != 0 || !(h[8] > 0)) return false;
    if (image.width < 4 || image.height < 4 || std::fabs(h[0]) > kMostColumnWidth * h[8]) return false;
    if (request.padding != Padding::colour) return true;
    const auto inside = [&](double step, double shift, int count, int length) {
        const double a = (0.5 * step + shift) / h[8], b = ((count - 0.5) * step + shift) / h[8];
        return std::fmin(a, b) >= 2 && std::fmax(a, b) <= length - 2;
    };
    return inside(h[0], h[2], request.width, image.width) && inside(h[4], h[5], request.height, image.height);
}

// The larger one; a NaN never is.
inline double larger(double a, double b) { return b > a ? b : a; }

// How the pixels of the tile [u0, u1] x [v0, v1] are sampled, `antialias` or as they are.
inline Division division(const double* h, bool antialias, int u0, int u1, int v0, int v1) {
    double square_u = 0, square_v = 0, skew = 0;
    Division n;
    for (int corner = 0; corner < 4; corner++) {
        const double u = corner & 1 ? u1 : u0, v = corner & 2 ? v1 : v0;
        const Corner p = project(h, u, v);
        if (!(p.w > 0)) {
            square_u = square_v = skew = INFINITY, n.precise = true;
            continue;
        }
        const double r = 1 / p.w, xu = (h[0] - p.x * h[6]) * r, xv = (h[1] - p.x * h[7]) * r;
        const double yu = (h[3] - p.y * h[6]) * r, yv = (h[4] - p.y * h[7]) * r;
        square_u = larger(square_u, xu * xu + yu * yu);
        square_v = larger(square_v, xv * xv + yv * yv);
        skew = larger(skew, std::fabs(xu * yu + xv * yv));
        // Rounding errors are relative to the terms of a sum, not to the sum.
        const double terms_x = std::fabs(h[0]) * u + std::fabs(h[1]) * v + std::fabs(h[2]);
        const double terms_y = std::fabs(h[3]) * u + std::fabs(h[4]) * v + std::fabs(h[5]);
        const double terms_w = std::fabs(h[6]) * u + std::fabs(h[7]) * v + std::fabs(h[8]);
        if (!(larger(larger(terms_x, terms_y) * r, kLeastTerms) * (terms_w * r) <= kMostTerms)) n.precise = true;
    }
    if (!antialias) return n;
    if (square_u > kOneSample * kOneSample || square_v > kOneSample * kOneSample || skew > kSkew) {
        const auto parts = [](double square) {
            return static_cast<int>(std::fmin(std::fmax(std::ceil(std::sqrt(square) / kSubpixel), 1), kMostSubpixels));
        };
        n.u = parts(square_u), n.v = parts(square_v);
    }
    return n;
}

inline Image image_at(const Request& request, int64_t i) {
    Image image{};
    image.pixels = request.data.at + request.offsets.at[i];
    image.height = request.sizes.at[2 * i], image.width = request.sizes.at[2 * i + 1];
    image.pixel = request.pixel, image.stride = image.pixel * image.width, image.floats = image.pixel != 3;
    const int64_t bytes = static_cast<int64_t>(image.height) * image.stride;
    image.no_overread = request.data.count - request.offsets.at[i] - bytes < 4;
    // Scaled so that w is of the order of one: its square has to fit into a float32.
    const float* h = request.homography.at + 9 * i;
    const double scale = std::fmax(std::fmax(std::fabs(h[6]), std::fabs(h[7])), std::fabs(h[8]));
    for (int k = 0; k < 9; k++) image.h[k] = scale > 0 ? h[k] / scale : h[k];
    image.copies = moves_whole_pixels(image.h, request.height, request.width);
    image.axis_aligned = !image.floats && keeps_rows(request, image);
    const auto row = [i](const Block<const float>& all, int64_t length) {
        return all.at ? all.at + i * length : nullptr;
    };
    image.logit = row(request.logit, 12), image.hue = row(request.hue, 1), image.table = row(request.table, 256);
    image.colour = row(request.colour, 12);
    image.erase_length = static_cast<int>(request.erase.count / request.count());
    image.erase = row(request.erase, image.erase_length);
    const int64_t number = bytes_of(request.number);
    const int64_t size = 3 * number * request.height * request.width;
    image.out = request.out.at + i * size;
    image.streamed = request.count() * size > kCacheBytes && request.width % 16 == 0 &&
                     reinterpret_cast<uintptr_t>(request.out.at) % (16 * number) == 0;
    return image;
}

// The part of the source that the frame can need, and in which direction its rows come.
inline Prefetcher prefetcher_of(const Request& request, const Image& image) {
    double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
    for (int corner = 0; corner < 4; corner++) {
        const Corner p = project(image.h, corner & 1 ? request.width : 0, corner & 2 ? request.height : 0);
        if (!(p.w > 0)) return {};
        left = std::fmin(left, p.x), right = std::fmax(right, p.x);
        top = std::fmin(top, p.y), bottom = std::fmax(bottom, p.y);
    }
    Prefetcher fetch;
    const double width = image.width, height = image.height;
    fetch.pixels = image.pixels, fetch.stride = image.stride;
    fetch.begin = image.pixel * static_cast<int>(std::fmin(std::fmax(left - 2, 0), width - 1));
    fetch.end = image.pixel * static_cast<int>(std::fmin(std::fmax(right + 2, 1), width));
    fetch.step = image.h[4] * image.h[8] - image.h[7] * image.h[5] < 0 ? -1 : 1;
    fetch.row = static_cast<int>(std::fmin(std::fmax(fetch.step > 0 ? top : bottom, 0), height - 1));
    fetch.goal = fetch.row, fetch.at = fetch.begin;
    return fetch;
}

// One band of tiles: neighbours that are divided alike go to the kernel together.
inline void warp_band(const Request& request, Kernel kernel, const Image& image, int v0, int v1) {
    Division n;
    int from = 0;
    for (int u = 0; u < request.width; u += kTile) {
        const int end = u + kTile < request.width ? u + kTile : request.width;
        const Division here = division(image.h, request.antialias && !image.copies, u, end, v0, v1);
        if (u && !(here == n)) kernel(request, image, n, v0, v1, from, u), from = u;
        n = here;
    }
    kernel(request, image, n, v0, v1, from, request.width);
}

inline int64_t bands_of(const Request& request) { return (request.height + kTile - 1) / kTile; }

// Threads take images, or bands of them where there are few, until none is left; the next one a little early.
inline void work(const Request& request, Kernel kernel, std::atomic<int64_t>& next) {
    const int64_t bands = bands_of(request), jobs = request.count() * bands,
                  together = request.threads > 1 && request.count() < 4 * request.threads ? 1 : bands;
    Prefetcher prefetchers[2];
    Image images[2];
    const auto take = [&](int turn) {
        const int64_t job = next.fetch_add(together);
        if (job < jobs) {
            images[turn] = image_at(request, job / bands);
            prefetchers[turn] = prefetcher_of(request, images[turn]);
            images[turn].prefetcher = &prefetchers[turn];
        }
        return job;
    };
    int turn = 0;
    for (int64_t job = take(turn), later; job < jobs; job = later, turn = 1 - turn) {
        for (int64_t band = job % bands, last = band + together - 1; band <= last; band++) {
            if (band == last && (later = take(1 - turn)) < jobs && together == bands)
                images[turn].following = &images[1 - turn];
            const int v0 = static_cast<int>(band) * kTile;
            warp_band(request, kernel, images[turn], v0, v0 + kTile < request.height ? v0 + kTile : request.height);
        }
    }
#if defined(__x86_64__)
    _mm_sfence();  // What is streamed is written before the thread is done.
#endif
}

// Runs `work(next)` on this thread and on others, at most one for each job.
template <class Work>
void share_out(int threads, int64_t jobs, const Work& work) {
    std::atomic<int64_t> next{0};
    std::vector<std::thread> helpers;
    // Threads are made for each call: that takes microseconds, and nothing is left behind for a fork to break.
    try {
        for (int i = 1; i < threads && i < jobs; i++) helpers.emplace_back([&] { work(next); });
    } catch (const std::system_error&) {  // No more threads to be had: those that there are do the work.
    } catch (const std::bad_alloc&) {
    }
    work(next);
    for (std::thread& helper : helpers) helper.join();
}

inline Refusal warp(const Request& request, const InstructionSet& set) {
    const Refusal refusal = check(request);
    if (*refusal.text) return refusal;
    share_out(request.threads, request.count() * bands_of(request),
              [&](std::atomic<int64_t>& next) { work(request, set.kernel, next); });
    return {};
}

}  // namespace onewarp
