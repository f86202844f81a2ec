// Label masks through homographies, and which output pixels show the source: in float64 and in the order of
// reference.py, so that no label ever differs from it.
#pragma once

#include <algorithm>

#include "cpu_warp.h"

namespace onewarp {

enum class Label : int { uint8 = 0, int8 = 1, int16 = 2, int32 = 3, int64 = 4 };

// One call: everything by address, nothing owned.
struct MaskRequest {
    const int64_t* masks;  // [count] addresses of labels, [height, width]; null for validity
    const int32_t* sizes;  // [count, 2] height, width
    int64_t count;
    const float* homography;  // [count, 3, 3]
    void* out;                // [count, height, width]
    int height, width;
    Label label;
    Padding padding;
    int64_t fill;
    bool votes;
    int threads;
};

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
    const Mask<T> mask{reinterpret_cast<const T*>(static_cast<uintptr_t>(q.masks[i])), q.sizes[2 * i],
                       q.sizes[2 * i + 1], q.padding, static_cast<T>(q.fill)};
    T* out = static_cast<T*>(q.out) + i * q.height * q.width;
    if (q.votes) {
        Request request{};
        request.antialias = true;
        Image image{};
        std::copy(h, h + 9, image.h);
        for (int v = 0; v < q.height; v += kTile)
            for (int u = 0; u < q.width; u += kTile) {
                const int v1 = std::min(v + kTile, q.height), u1 = std::min(u + kTile, q.width);
                vote(mask, h, division(request, image, u, u1, v, v1), v, v1, u, u1, out, q.width);
            }
        return;
    }
    for (int v = 0; v < q.height; v++)
        for (int u = 0; u < q.width; u++) *out++ = mask.at(project(h, u + 0.5, v + 0.5));
}

inline void mark_valid(const MaskRequest& q, int64_t i, const double* h) {
    const double height = q.sizes[2 * i], width = q.sizes[2 * i + 1];
    uint8_t* out = static_cast<uint8_t*>(q.out) + i * q.height * q.width;
    for (int v = 0; v < q.height; v++)
        for (int u = 0; u < q.width; u++) {
            const Corner p = project(h, u + 0.5, v + 0.5);
            *out++ = (p.w > 0) & (p.x >= 0) & (p.x < width) & (p.y >= 0) & (p.y < height);
        }
}

inline void warp_masks(const MaskRequest& q) {
    share_out(q.threads, q.count, [&](std::atomic<int64_t>& next) {
        for (int64_t i; (i = next.fetch_add(1)) < q.count;) {
            double h[9];
            std::copy(q.homography + 9 * i, q.homography + 9 * i + 9, h);
            if (!q.masks) {
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
}

}  // namespace onewarp
