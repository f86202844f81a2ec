// Which way a rectangle of the output goes.
#if defined(ONEWARP_RECTANGLE_INL_H) == defined(ONEWARP_TOGGLE)  // once for each instruction set: see cpu_target-inl.h
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
    const bool along_rows = image.straight && n.u * n.v == 1 && !n.precise;
    const auto way = image.floats ? (antialias ? floats<true> : floats<false>)
                     : along_rows ? (antialias ? straight<true> : straight<false>)
                                  : (antialias ? rectangle<true> : rectangle<false>);
    way(request, image, n, v0, v1, u0, u1);
}

ONEWARP_END
#endif
