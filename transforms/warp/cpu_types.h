// What the kernels of all instruction sets share: the request, and one image of it.
#pragma once

#include <cstdint>

#include "cpu_block.h"

namespace onewarp {

enum class Padding : int { reflection = 0, border = 1, colour = 2 };
enum class Number : int { float32 = 0, bfloat16 = 1, uint8 = 2 };

// One call: nothing in it is owned.
struct Request {
    Block<const uint8_t> data;      // the pixels of all images
    int pixel;                      // bytes of a pixel: 3, or 12 where they are float32
    Block<const int64_t> offsets;   // [count] of each image, in bytes of data
    Block<const int32_t> sizes;     // [count, 2] height, width
    Block<const float> homography;  // [count, 3, 3]
    Block<const float> logit;       // [count, 3, 4], or none
    Block<const float> hue;         // [count], or none
    Block<const float> table;       // [count, 256], or none
    Block<const float> colour;      // [count, 3, 4]
    Block<const float> erase;       // [count, 4] or [count, 7], or none
    Block<uint8_t> out;             // bytes of [count, 3, height, width] or, channels last, [count, height, width, 3]
    int height, width;
    Number number;
    bool channels_last;
    Padding padding;
    float fill[3];  // in 0..1
    bool antialias;
    int threads;

    int64_t count() const { return offsets.count; }
};

// Asks for the source's lines some rows before they are needed: a batch does not fit into the caches, and hardware does
// not guess the slanted way of a warp. Lines are asked for a few at a time, between pixels, not to fill the queues.
struct Prefetcher {
    const uint8_t* pixels = nullptr;
    int stride = 0, begin = 0, end = 0;  // Bytes of a row that the output can need.
    int row = 0, goal = 0, step = 1;     // Rows before `row` have been asked for; `step` is the direction.
    int at = 0;

    // Returns how many of `lines` are left to ask for.
    int advance(int lines) {
        for (; lines > 0 && row != goal; lines--) {
            __builtin_prefetch(pixels + static_cast<int64_t>(row) * stride + at);
            at += 64;
            if (at >= end) at = begin, row += step;
        }
        return lines;
    }
};

// Red, green and blue as floats, and a fourth that nobody reads.
typedef float Pixel __attribute__((vector_size(16)));

// One image: where it lies, how it is sampled, and its colour map.
struct Image {
    const uint8_t* pixels;
    int height, width, pixel, stride;  // bytes from pixel to pixel, and from row to row
    bool floats;
    bool no_overread;  // Nothing readable follows the last row, so loads must not be wider than what is wanted.
    double h[9];
    bool copies, axis_aligned;
    const float *logit, *hue, *table, *colour, *erase;
    int erase_length;  // 4 numbers, or 7 where a colour is behind the rectangle.
    uint8_t* out;
    bool streamed;  // The batch does not fit into the caches and leaves past them, in whole vectors of 16 numbers.
    Prefetcher* prefetcher;
    const Image* following;  // What this thread does next, if that is known: its first lines are asked for, too.
};

// Sides of the output tiles that share a division into sub-pixels, and its limits: as in footprint.py, which says what
// each is for.
constexpr int kTile = 32;
constexpr double kOneSample = 3.0, kSkew = 2.0, kSubpixel = 2.0, kMostSubpixels = 8.0, kCopyTolerance = 1.0 / 1024;

// The filter's outer weights: BLUR_AT_ONE, BLUR_GAIN, CURVE_AT_ONE and CURVE_LOSS of footprint.py.
constexpr double kBlurAtOne = 0.067, kBlurGain = 0.14, kCurveAtOne = 0.26, kCurveLoss = 0.046;
// The largest extent of a footprint that the filter is for: s of README.md.
constexpr double kMostExtent = 3;

// A weight of one, where weights of columns, and those of 2 x 2 pixels, are integers: 2^14 is the largest power of two
// of which a weight below two is one of 16 bits with a sign, and a float32 holds 255 of them exactly.
constexpr float kWeightScale = 16384;

// How many pixels of the source a column may be wide for rows to be blended first: with wider ones more bytes would be
// blended than columns then read.
constexpr int kMostColumnWidth = 4;

// How the pixels of a tile are sampled.
struct Division {
    int u = 1, v = 1;
    // float32 would lose the position: w cancels, is not positive somewhere, or coordinates are huge.
    bool precise = false;
    bool operator==(const Division& o) const { return u == o.u && v == o.v && precise == o.precise; }
};

}  // namespace onewarp
