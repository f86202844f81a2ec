// Which way a rectangle of the output goes.
//
// Included once for each instruction set: see cpu_target-inl.h.
#if defined(ONEWARP_RECTANGLE_INL_H) == defined(ONEWARP_TOGGLE)
#ifdef ONEWARP_RECTANGLE_INL_H
#undef ONEWARP_RECTANGLE_INL_H
#else
#define ONEWARP_RECTANGLE_INL_H
#endif

#include "cpu_axis_aligned-inl.h"
#include "cpu_floats-inl.h"

ONEWARP_BEGIN

inline void warp_rectangle(const Request& request, const Image& image, const Division& n, int v0, int v1, int u0,
                           int u1) {
    const bool antialias = request.antialias && !image.copies;
    const bool along_rows = image.axis_aligned && n.u * n.v == 1 && !n.precise;
    const auto way = image.floats ? (antialias ? warp_floats<true> : warp_floats<false>)
                     : along_rows ? (antialias ? warp_axis_aligned<true> : warp_axis_aligned<false>)
                                  : (antialias ? warp_bytes<true> : warp_bytes<false>);
    way(request, image, n, v0, v1, u0, u1);
}

ONEWARP_END
#endif
