// Label masks through homographies, and which output pixels show the source: in float64 and in the order of
// reference.py, so that no label ever differs from it.
#pragma once

#include <algorithm>

#include "cpu_warp.h"

namespace onewarp {

enum class Label : int { uint8 = 0, int8 = 1, int16 = 2, int32 = 3, int64 = 4 };

// One call: nothing in it is owned.
struct MaskRequest {
    Block<const Block<const uint8_t>> masks;  // [count] of bytes of labels, [height, width]; none for validity
    Block<const int32_t> sizes;               // [count, 2] height, width
    Block<const float> homography;            // [count, 3, 3]
    Block<uint8_t> out;                       // bytes of [count, height, width]
    int height, width;
    Label label;
    Padding padding;
    int64_t fill;
    bool votes;
    int threads;

    int64_t count() const { return sizes.count / 2; }
};

// How many bytes a label has; 0 for none that there is.
inline int bytes_of(Label label) {
    switch (label) {
        case Label::uint8:
        case Label::int8:
            return 1;
        case Label::int16:
            return 2;
        case Label::int32:
            return 4;
        case Label::int64:
            return 8;
    }
    return 0;
}

inline Refusal check(const MaskRequest& q) {
    const int64_t count = q.count(), bytes = bytes_of(q.label), rows = count * q.height;
    if (q.height < 1 || q.width < 1) return refuse("the output must have at least one pixel");
    if (!bytes || !is_padding(q.padding)) return refuse("there is no such label or padding");
    if (count > INT32_MAX) return refuse("there must be less than 2^31 masks");
    if (!fits(q.sizes, 2 * count)) return refuse("a mask must have a height and a width");
    if (!fits(q.homography, 9 * count)) return refuse("homography must have 9 numbers for each mask");
    if (rows > INT64_MAX / bytes / q.width || !fits(q.out, rows * q.width * bytes))
        return refuse("the output must have a label for each pixel of each mask");
    if (reinterpret_cast<uintptr_t>(q.out.at) % bytes) return refuse("the output must be aligned");
    if (q.masks.at && !fits(q.masks, count)) return refuse("there must be a mask for each size");
    for (int64_t i = 0; i < count; i++) {
        const int64_t height = q.sizes.at[2 * i], width = q.sizes.at[2 * i + 1];
        const long long row = i;
        if (height < 1 || width < 1) return refuse("mask %lld must have at least one pixel", row);
        if (!q.masks.at) continue;
        const Block<const uint8_t>& mask = q.masks.at[i];
        if (height > INT64_MAX / bytes / width || !fits(mask, height * width * bytes))
            return refuse("mask %lld must have a label for each of its pixels", row);
        if (reinterpret_cast<uintptr_t>(mask.at) % bytes) return refuse("mask %lld must be aligned", row);
    }
    return {};
}

// The pixel that holds a coordinate; -1 where there is none.
inline int64_t pixel_at(double x, int64_t length, Padding padding) {
    if (x >= 0 && x < static_cast<double>(length)) return static_cast<int64_t>(x);
    if (padding == Padding::colour) return -1;
    x = within_reach(x);
    if (padding == Padding::border) return x < 0 ? 0 : length - 1;
    const double period = 2.0 * static_cast<double>(length);
    x -= period * std::floor(x / period);
    return std::min(static_cast<int64_t>(std::fmin(x, period - x)), length - 1);
}

template <class T>
struct Mask {
    const T* labels;
    int64_t height, width;
    Padding padding;
    T fill;

    T at(const Corner& p) const {
        if (!(p.w > 0)) return fill;
        const int64_t column = pixel_at(p.x, width, padding), row = pixel_at(p.y, height, padding);
        return column < 0 || row < 0 ? fill : labels[row * width + column];
    }
};

// The label that most have; of equals the smallest.
template <class T>
T most_frequent(T* labels, int count) {
    if (std::all_of(labels, labels + count, [=](T label) { return label == *labels; })) return *labels;
    std::sort(labels, labels + count);
    T winner = *labels;
    int most = 0;
    for (int begin = 0, end; begin < count; begin = end) {
        for (end = begin; end < count && labels[end] == labels[begin]; end++) {
        }
        if (end - begin > most) most = end - begin, winner = labels[begin];
    }
    return winner;
}

// One tile by votes, from 4 x 4 positions in each sub-pixel.
template <class T>
void vote(const Mask<T>& mask, const double* h, const Division& n, int v0, int v1, int u0, int u1, T* out, int width) {
    const int across = 4 * n.u, down = 4 * n.v;
    std::vector<T> labels(static_cast<size_t>(across * down));
    for (int v = v0; v < v1; v++)
        for (int u = u0; u < u1; u++) {
            int k = 0;
            for (int j = 0; j < down; j++)
                for (int i = 0; i < across; i++) {
                    const Corner p = project(h, u + (i + 0.5) / across, v + (j + 0.5) / down);
                    labels[static_cast<size_t>(k++)] = mask.at(p);
                }
            out[static_cast<int64_t>(v) * width + u] = most_frequent(labels.data(), k);
        }
}

template <class T>
void warp_mask(const MaskRequest& q, int64_t i, const double* h) {
    const Mask<T> mask{reinterpret_cast<const T*>(q.masks.at[i].at), q.sizes.at[2 * i], q.sizes.at[2 * i + 1],
                       q.padding, static_cast<T>(q.fill)};
    T* out = reinterpret_cast<T*>(q.out.at) + i * q.height * q.width;
    if (q.votes) {
        for (int v = 0; v < q.height; v += kTile)
            for (int u = 0; u < q.width; u += kTile) {
                const int v1 = std::min(v + kTile, q.height), u1 = std::min(u + kTile, q.width);
                vote(mask, h, division(h, true, u, u1, v, v1), v, v1, u, u1, out, q.width);
            }
        return;
    }
    for (int v = 0; v < q.height; v++)
        for (int u = 0; u < q.width; u++) *out++ = mask.at(project(h, u + 0.5, v + 0.5));
}

inline void mark_valid(const MaskRequest& q, int64_t i, const double* h) {
    const double height = q.sizes.at[2 * i], width = q.sizes.at[2 * i + 1];
    uint8_t* out = q.out.at + i * q.height * q.width;
    for (int v = 0; v < q.height; v++)
        for (int u = 0; u < q.width; u++) {
            const Corner p = project(h, u + 0.5, v + 0.5);
            *out++ = (p.w > 0) & (p.x >= 0) & (p.x < width) & (p.y >= 0) & (p.y < height);
        }
}

inline Refusal warp_masks(const MaskRequest& q) {
    const Refusal refusal = check(q);
    if (*refusal.text) return refusal;
    share_out(q.threads, q.count(), [&](std::atomic<int64_t>& next) {
        for (int64_t i; (i = next.fetch_add(1)) < q.count();) {
            double h[9];
            std::copy_n(q.homography.at + 9 * i, 9, h);
            if (!q.masks.at) {
                mark_valid(q, i, h);
                continue;
            }
            switch (q.label) {
                case Label::uint8:
                    warp_mask<uint8_t>(q, i, h);
                    break;
                case Label::int8:
                    warp_mask<int8_t>(q, i, h);
                    break;
                case Label::int16:
                    warp_mask<int16_t>(q, i, h);
                    break;
                case Label::int32:
                    warp_mask<int32_t>(q, i, h);
                    break;
                case Label::int64:
                    warp_mask<int64_t>(q, i, h);
                    break;
            }
        }
    });
    return {};
}

}  // namespace onewarp
